#version 330 core
// Screen-space ambient occlusion: how much of the hemisphere over a pixel is hidden by what the depth map shows nearby.
in vec2 at;
uniform sampler2D depth_map;
uniform vec2 tan_half;
uniform float radius;
out float visibility;
const int SAMPLES = 10;
const float GOLDEN_ANGLE = 2.39996;

vec3 point(vec2 where) {
    float z = texture(depth_map, where).r;
    return vec3((where * 2.0 - 1.0) * tan_half * z, z);
}

void main() {
    vec3 centre = point(at);
    if (centre.z <= 0.0) {
        visibility = 1.0;
        return;
    }
    vec3 facing = normalize(cross(dFdx(centre), dFdy(centre)));
    if (dot(facing, centre) > 0.0) facing = -facing;
    ivec2 cell = ivec2(gl_FragCoord.xy) & 3;
    float turn = float((cell.x * 4 + cell.y) * 5 % 16) / 16.0 * 6.283;
    float hidden = 0.0;
    for (int i = 0; i < SAMPLES; i++) {
        float reach = radius * (float(i) + 0.5) / float(SAMPLES);
        float angle = turn + float(i) * GOLDEN_ANGLE;
        vec2 where = at + reach * vec2(cos(angle), sin(angle)) / (tan_half * 2.0 * centre.z);
        vec3 away = point(where) - centre;
        float distance = length(away) + 1e-4;
        hidden += max(dot(away, facing) / distance - 0.08, 0.0) * (1.0 - smoothstep(0.0, radius * 2.5, distance));
    }
    visibility = clamp(1.0 - hidden * 1.6 / float(SAMPLES), 0.0, 1.0);
}
