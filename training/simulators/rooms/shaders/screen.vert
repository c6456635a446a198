#version 330 core
// One triangle that covers the screen.
out vec2 at;

void main() {
    at = 2.0 * vec2(gl_VertexID & 1, gl_VertexID >> 1);
    gl_Position = vec4(at * 2.0 - 1.0, 0.0, 1.0);
}
