#version 330 core
// Physically based colour (GGX) in linear HDR, with shadow atlas, ambient light from three directions and occlusion.
// With TRANSPARENT it gives colour times alpha, to be blended over what is opaque. LIGHTS, SHADOW_SAMPLES and SHADOW_SIZE are constants that the renderer puts in: software rasterisers need unrolled loops.
in vec3 position;
in vec3 normal;
in vec2 uv;
flat in int material;
out vec4 color;
#ifdef TRANSPARENT
uniform float alpha_head_on;
#endif

uniform sampler2DArray textures;
uniform sampler2D materials;  // 4 texels a material, see Material.row()
uniform sampler2D occlusion_map;
uniform vec2 resolution;
uniform vec3 eye;

uniform vec4 light_position[LIGHTS];   // xyz, w = 1 for the sun (parallel light)
uniform vec4 light_direction[LIGHTS];  // xyz, w = softness of the shadow in texels
uniform vec4 light_color[LIGHTS];      // rgb, w = size of a shadow texel, m; for lamps at 1 m distance
uniform mat4 light_matrix[LIGHTS];
uniform sampler2DShadow shadow_atlas;  // 2 x 2 lights

uniform vec3 ambient_above;
uniform vec3 ambient_below;
uniform vec3 ambient_around;
uniform vec4 window_glow;  // direction, strength

const float PI = 3.14159265;
const float GOLDEN_ANGLE = 2.39996;

float gradient_noise(vec2 at) { return fract(52.9829189 * fract(dot(at, vec2(0.06711056, 0.00583715)))); }

float fifth_power(float x) {
    float square = x * x;
    return square * square * x;
}

// Share of a light that arrives; percentage-closer filtering on a turned disc of samples.
float lit(int i, vec3 facing) {
    vec3 towards = light_position[i].xyz - position;
    float distance = length(towards);
    bool sun = light_position[i].w > 0.5;
    float texel = sun ? light_color[i].w : light_color[i].w * distance;
    towards = sun ? -light_direction[i].xyz : towards / distance;
    // Step off the surface by a few shadow texels, or it would shade itself.
    float bias = texel * (1.2 + light_direction[i].w * 0.5);
    vec3 start = position + facing * bias * (1.4 - 0.9 * abs(dot(facing, towards))) + towards * texel * 0.5;
    vec4 clip = light_matrix[i] * vec4(start, 1.0);
    vec3 where = clip.xyz / clip.w * 0.5 + 0.5;
    vec2 edge = abs(where.xy - 0.5);
    float off_centre = sun ? max(edge.x, edge.y) : length(edge);
    float covered = 0.0;
    if (clip.w > 0.0 && where.z < 1.0)
        covered = sun ? step(off_centre, 0.498) : 1.0 - smoothstep(0.3, 0.495, off_centre);
    vec2 quarter = vec2(float(i & 1), float(i >> 1)) * 0.5;
    float turn = gradient_noise(gl_FragCoord.xy) * 2.0 * PI;
    vec2 spread = vec2(cos(turn), sin(turn)) * light_direction[i].w / float(SHADOW_SIZE);
    float sum = 0.0;
    for (int k = 0; k < SHADOW_SAMPLES; k++) {
        float angle = GOLDEN_ANGLE * float(k);
        vec2 tap = vec2(cos(angle), sin(angle)) * sqrt((float(k) + 0.5) / float(SHADOW_SAMPLES));
        tap = vec2(tap.x * spread.x - tap.y * spread.y, tap.x * spread.y + tap.y * spread.x);
        sum += texture(shadow_atlas, vec3(clamp(where.xy + tap, 0.002, 0.998) * 0.5 + quarter, where.z));
    }
    return mix(sun ? 1.0 : 0.0, sum / float(SHADOW_SAMPLES), covered);
}

vec3 environment(vec3 direction, float roughness) {
    vec3 light = mix(ambient_below, ambient_above, smoothstep(-0.6 - roughness, 0.6 + roughness, direction.z));
    light = mix(light, ambient_around, 0.4 * (1.0 - abs(direction.z)));
    float glow = smoothstep(0.9 - 0.5 * roughness, 1.0, dot(direction, normalize(window_glow.xyz)));
    return light + vec3(window_glow.w) * glow * (1.0 - 0.8 * roughness);
}

// Tilt the normal by the slope of the height (Mikkelsen 2010, bump mapping from derivatives).
vec3 bumped(vec3 facing, float height, float scale) {
    vec3 dx = dFdx(position), dy = dFdy(position);
    vec3 r1 = cross(dy, facing), r2 = cross(facing, dx);
    float determinant = dot(dx, r1);
    vec3 slope = sign(determinant) * (dFdx(height) * r1 + dFdy(height) * r2);
    return normalize(abs(determinant) * facing - slope * scale);
}

void main() {
    vec4 first = texelFetch(materials, ivec2(0, material), 0);
    vec4 second = texelFetch(materials, ivec2(1, material), 0);
    vec4 surface = texelFetch(materials, ivec2(2, material), 0);
    vec4 mapping = texelFetch(materials, ivec2(3, material), 0);

    vec3 to_eye = normalize(eye - position);
    // Thin shells are seen from both sides: turn the normal against the real triangle, not against the view, which would
    // flip smooth normals near silhouettes.
    vec3 flat_normal = normalize(cross(dFdx(position), dFdy(position)));
    if (dot(flat_normal, to_eye) < 0.0) flat_normal = -flat_normal;
    vec3 smooth_normal = normalize(normal);
    if (dot(smooth_normal, flat_normal) < -0.2) smooth_normal = -smooth_normal;
    smooth_normal = normalize(smooth_normal + to_eye * max(0.0, 0.05 - dot(smooth_normal, to_eye)));

    float c = cos(mapping.z), s = sin(mapping.z);
    vec4 texel = texture(textures, vec3(mat2(c, s, -s, c) * uv * mapping.xy + mapping.w, first.w));
    bool picture = second.w > 0.5;
    vec3 albedo = picture ? texel.rgb * first.rgb : mix(first.rgb, second.rgb, texel.r) * (0.35 + 0.65 * texel.g);
    albedo *= albedo;  // colours are chosen as they look on a screen; gamma 2 makes them linear
    vec3 facing = smooth_normal;
    if (surface.z > 0.0) facing = bumped(smooth_normal, picture ? texel.g : texel.a, surface.z);
    float roughness = clamp(surface.x * (picture ? 0.8 : 0.8 + 0.4 * texel.b), 0.06, 1.0);
    float metallic = surface.y;
    float occlusion = texture(occlusion_map, gl_FragCoord.xy / resolution).r;

    vec3 f0 = mix(vec3(0.04), albedo, metallic);
    vec3 diffuse = albedo * (1.0 - metallic);
    float n_v = max(dot(facing, to_eye), 1e-3);
    vec3 ambient = mix(ambient_below, ambient_above, 0.5 + 0.5 * facing.z) * 0.75
                 + ambient_around * 0.25 * (1.0 - abs(facing.z));
    vec3 fresnel = f0 + (max(vec3(1.0 - roughness), f0) - f0) * fifth_power(1.0 - n_v);
#ifdef TRANSPARENT
    // The flatter the view, the longer the way through the wall (Beer-Lambert), and the more is reflected.
    float absorbed = 1.0 - pow(1.0 - alpha_head_on, 1.0 / max(n_v, 0.1));
    float opacity = 1.0 - (1.0 - absorbed) * (1.0 - dot(fresnel, vec3(1.0 / 3.0)));
    diffuse *= absorbed;
#endif
    vec3 sum = (diffuse * ambient + fresnel * environment(reflect(-to_eye, facing), roughness)) * occlusion;

    for (int i = 0; i < LIGHTS; i++) {
        vec3 towards = light_position[i].xyz - position;
        float square = dot(towards, towards);
        bool sun = light_position[i].w > 0.5;
        towards = sun ? -light_direction[i].xyz : towards * inversesqrt(square);
        float cone = smoothstep(0.0, 0.45, dot(-towards, light_direction[i].xyz) - 0.12);
        float n_l = max(dot(facing, towards), 0.0);
        float strength = sun ? n_l : n_l * cone / (square + 0.05);
        if (strength <= 0.0) continue;
        strength *= lit(i, smooth_normal);
        vec3 halfway = normalize(towards + to_eye);
        float n_h = max(dot(facing, halfway), 0.0);
        float alpha = roughness * roughness;
        float lobe = n_h * n_h * (alpha * alpha - 1.0) + 1.0;
        float distribution = alpha * alpha / (PI * lobe * lobe + 1e-6);
        float k = (roughness + 1.0) * (roughness + 1.0) / 8.0;
        float geometry = 1.0 / ((n_v * (1.0 - k) + k) * (n_l * (1.0 - k) + k) * 4.0);
        vec3 fresnel_light = f0 + (1.0 - f0) * fifth_power(1.0 - max(dot(halfway, to_eye), 0.0));
        vec3 specular = min(fresnel_light * distribution * geometry, vec3(30.0));
        sum += (diffuse * (1.0 - fresnel_light) + specular) * light_color[i].rgb * strength * mix(1.0, occlusion, 0.4);
    }
#ifdef TRANSPARENT
    color = vec4(min(sum, vec3(60.0)), opacity);
#else
    sum += albedo * surface.w;
    color = vec4(min(sum, vec3(60.0)), 1.0);
#endif
}
