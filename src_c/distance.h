/* What distance.c and its callers share. */
#ifndef FM_DISTANCE_H
#define FM_DISTANCE_H

/* What pair_sums adds up. */
enum {
    FM_GAPS,             /* |p - q| */
    FM_MASSES,           /* p alone */
    FM_RELATIVE_ENTROPY, /* p log(p / q) */
    /* With P and Q, the sums of p and q, found before: */
    FM_VARIATION,   /* |p / P - q / Q| */
    FM_DIVERGENCES, /* x log(x / m) + y log(y / m), x = p / P, y = q / Q, m between them */
    FM_ENTROPIES    /* p log(p / P) */
};
/* What x and y of FM_DIVERGENCES sum to instead of 1, so that halves and products keep their least number. */
#define FM_WHOLE 0x1p500

#endif
