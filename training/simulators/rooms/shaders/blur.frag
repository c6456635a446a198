#version 330 core
// 4 x 4 box blur of the occlusion that does not cross depth edges; it removes the 4 x 4 pattern of its sample directions.
in vec2 at;
uniform sampler2D occlusion_map;
uniform sampler2D depth_map;
uniform vec2 texel;
out float visibility;

void main() {
    float centre = texture(depth_map, at).r;
    float sum = 0.0;
    float weights = 0.0;
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) {
            vec2 where = at + (vec2(i, j) - 1.5) * texel;
            float weight = abs(texture(depth_map, where).r - centre) < 0.04 * centre ? 1.0 : 0.02;
            sum += weight * texture(occlusion_map, where).r;
            weights += weight;
        }
    }
    visibility = sum / weights;
}
