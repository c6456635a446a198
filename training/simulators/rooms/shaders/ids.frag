#version 330 core
// Ground truth: whole object and part in one texel, and the distance along the optical axis in metres.
in vec3 position;
flat in uint id;
uniform vec3 eye;
uniform vec3 forward;
layout(location = 0) out uvec2 instance_and_part;
layout(location = 1) out float depth;

void main() {
    instance_and_part = uvec2(id & 0xffffu, id >> 16);
    depth = dot(position - eye, forward);
}
