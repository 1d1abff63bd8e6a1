/* What unary.c and its callers share. */
#ifndef FM_UNARY_H
#define FM_UNARY_H

/* The functions of unary_run, and how many there are. */
enum {
    FM_GELU,
    FM_GELU_TANH,
    FM_SILU,
    FM_SIGMOID,
    FM_TANH,
    FM_SOFTPLUS,
    FM_ELU,
    FM_LEAKY_RELU,
    FM_HARD_SWISH,
    FM_UNARY_KINDS,
};

/* A function of a = |x| in 16 pieces. r = origin - scale a, rounded, has the number of the piece in its last four bits;
 * c[0] + c[1] t + ... + c[6] t^6 is the polynomial there, t = a - center. An origin near a power of two makes some
 * pieces twice as wide as the others: on one side of it floats are half as dense. Beyond `far` the pieces no longer
 * hold. */
typedef struct {
    float scale, origin, far, center[16], c[7][16];
} fm_curve;

enum {
    FM_CURVE_GELU,       /* 2a Phi(-a) */
    FM_CURVE_GELU_TANH,  /* 2a sigmoid(-2u), u = sqrt(2 / pi) (a + 0.044715 a^3) */
    FM_CURVE_SILU,       /* 2a sigmoid(-a) */
    FM_CURVE_SIGMOID,    /* sigmoid(-a) */
    FM_CURVE_TANH,       /* tanh(a) */
    FM_CURVE_SOFTPLUS,   /* log(1 + e^-a) */
    FM_CURVE_ELU,        /* 1 - e^-a */
    FM_CURVE_GELU_SLOPE, /* the derivatives at -a */
    FM_CURVE_GELU_TANH_SLOPE,
    FM_CURVE_SILU_SLOPE,
    FM_CURVE_SIGMOID_SLOPE,
    FM_CURVE_TANH_SLOPE,
    FM_CURVE_ELU_SLOPE,
    FM_CURVES, /* how many */
};

extern const fm_curve fm_curves[FM_CURVES];

#endif
