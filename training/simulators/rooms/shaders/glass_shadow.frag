#version 330 core
// Shadow of a transparent part: one texel in four, which the filter of the shadow lookup turns into a light shadow. Walls one
// behind the other hit the same texels, so that a glass with four of them throws no darker shadow than a pane.
void main() {
    if (((int(gl_FragCoord.x) | int(gl_FragCoord.y)) & 1) == 1) discard;
}
