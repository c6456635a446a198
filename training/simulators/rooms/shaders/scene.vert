#version 330 core
// Shared by the id and the colour pass. Positions are invariant so that the depth pre-pass matches the colour pass exactly.
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
in float in_material;
in uint in_id;
uniform mat4 view_projection;
invariant gl_Position;
out vec3 position;
out vec3 normal;
out vec2 uv;
flat out int material;
flat out uint id;

void main() {
    position = in_position;
    normal = in_normal;
    uv = in_uv;
    material = int(in_material);
    id = in_id;
    gl_Position = view_projection * vec4(in_position, 1.0);
}
