/* Cross-entropy of rows and of columns, with the gradient in the same pass.
 *
 * With p = softmax(x), q the target distribution times the class weights and Q = sum(q), the loss is
 * sum(q (max - x)) + Q log(sum(e^(x - max))), two sums without cancellation, and the gradient Q p - q. The
 * exponentials of the one pass stay in dx until the sum is known. At the label, Q p - q is taken from the sum
 * of the other terms, so that the gradient of a well classified sample keeps its digits as its loss does.
 * z_loss adds z w lse^2, w being what the sample counts in the mean (the label's weight, 1 with probabilities), and
 * 2 z w lse p to the gradient: the log-sum-exp is there already, and a gradient of all of p is a larger slope.
 * Losses are added row by row in double; the caller cuts blocks by shape and adds them in order.
 * Rejected: softmax, then log(p) and p - q, which has neither property and reads everything once more.
 */

/* What the losses and gradients at the labels need, for a block of rows. */
typedef struct {
    real at_label[LANES + FM_BLOCK_ROWS]; /* x there */
    double weight[LANES];                 /* of the label's class; 0 where the row is ignored */
    double spread[LANES];                 /* of the smoothing: the sum of w (max - x) */
    double loss[LANES];
    double slope[LANES]; /* dx = slope E + base, and at the label `fix` */
    double fix[LANES];
    size_t class[LANES];
} FM(labelled);

/* The sum of w (m - x), w NULL being ones. */
FM_INLINE double FM(row_spread)(const real *x, const real *w, size_t n, real m)
{
    const vec vm = v_set1(m);
    double total = 0;
    if (w)
        FM_ROW_SUM(total, n, v_mul(AT(w), v_sub(vm, AT(x))))
    else
        FM_ROW_SUM(total, n, v_sub(vm, AT(x)))
    return total;
}

/* Classes, weights and entries at the labels of a block of rows, zeros else. */
FM_INLINE void FM(block_classes)(FM(labelled) *l, const real *x, const int64_t *label, const real *weight, size_t block,
                                 size_t n, fm_labels *rule)
{
    v_store(l->at_label, v_set1(0));
    for (size_t h = 0; h < block; h += FM_BLOCK_ROWS) {
        v64_store(l->weight + h, v64_set1(0));
        v64_store(l->spread + h, v64_set1(0));
    }
    for (size_t r = 0; r < block; r++) {
        const size_t k = l->class[r] = fm_class(label + r, n, rule);
        if (k == FM_NO_CLASS)
            continue;
        l->weight[r] = weight ? (double)weight[k] : 1;
        l->at_label[r] = x[r * n + k];
    }
}

/* FM_BLOCK_ROWS lanes from `first` on, zeros past the last: what lies behind them may be denormal. */
FM_INLINE vec FM(load_block)(const real *x, size_t first)
{
    return first ? v_load_n(x + first, FM_BLOCK_ROWS, 0) : v_load(x);
}

/* l->loss, slope and fix of FM_BLOCK_ROWS rows from `first` on whose exponentials are summed: share = smoothing / n of
 * every class's weight goes to q. */
FM_INLINE void FM(block_labels)(FM(labelled) *l, const FM(row_block) *g, size_t first, double own, double share,
                                double z_loss, double weight_sum, double scale)
{
    const vec at_label = FM(load_block)(l->at_label, first);
    const v64 top = v64_load(g->top + first), count = v64_load(g->count + first), below = v64_load(g->below + first);
    const v64 max = v_wide_lo(v_load(g->max + first)), x = v_wide_lo(at_label), w = v64_load(l->weight + first);
    const v_scale s = {FM(load_block)(g->origin, first), FM(load_block)(g->floor, first),
                       FM(load_block)(g->shift, first)};
    const v64 e = FM(scaled_wide)(at_label, s), one = v64_set1(1);
    const v64 total = v64_fma(count, top, below), log_sum = FM(log_sum_here)(g, first);
    const v64 others = v64_if_eq(x, max, v64_fma(v64_sub(count, one), top, below), v64_sub(total, e));
    v64 mine = v64_mul(w, v64_set1(own)), all = mine, loss = v64_mul(mine, v64_add(v64_sub(max, x), log_sum));
    v64 rest = v64_set1(0);
    if (share != 0) {
        const v64 part = v64_set1(share * weight_sum);
        all = v64_add(mine, part);
        loss = v64_add(loss, v64_fma(part, log_sum, v64_mul(v64_set1(share), v64_load(l->spread + first))));
        rest = v64_sub(part, v64_mul(w, v64_set1(share)));
    }
    const v64 slope = v64_div(v64_mul(all, v64_set1(scale)), total);
    v64 more = v64_set1(0);
    if (z_loss != 0) {
        const v64 lse = v64_add(max, log_sum), pull = v64_mul(v64_mul(w, v64_set1(z_loss)), lse);
        loss = v64_fma(pull, lse, loss);
        more = v64_div(v64_mul(pull, v64_set1(2 * scale)), total);
    }
    v64_store(l->loss + first, loss);
    v64_store(l->slope + first, v64_add(slope, more));
    v64_store(l->fix + first, v64_fnma(slope, others, v64_fma(more, e, v64_mul(rest, v64_set1(scale)))));
}

/* Of LANES rows of n <= LANES, the losses added to sum: cross_entropy_short.c */
FM_APART void FM(cross_entropy_short)(fm_tally *sum, real *dx, real *loss, const real *x, const int64_t *label,
                                      const real *weight, size_t n, fm_labels *rule, double smoothing, double z_loss,
                                      double weight_sum, double scale);
FM_APART void FM(cross_entropy_soft_short)(fm_tally *sum, real *dx, real *loss, const real *x, const real *target,
                                           const real *weight, size_t n, double smoothing, double z_loss, double scale);

/* Long because a block of rows goes through its three passes here: labels, sums, gradients. */
static double FM(cross_entropy_rows)(real *dx, real *loss, const real *x, const int64_t *label, const real *weight,
                                     size_t rows, size_t n, fm_labels *rule, double smoothing, double z_loss,
                                     double weight_sum, double scale, int stream)
{
    const double own = 1 - smoothing, share = smoothing / (double)n;
    const vec base = v_set1((real)(-share * scale));
    fm_tally sum = {0, 0};
    for (; FM_TURNED(rows, n, LANES); rows -= LANES, x += LANES * n, label += LANES) {
        FM(cross_entropy_short)(&sum, dx, loss, x, label, weight, n, rule, smoothing, z_loss, weight_sum, scale);
        dx = dx ? dx + LANES * n : NULL, loss = loss ? loss + LANES : NULL;
    }
    for (size_t block; rows; rows -= block, x += block * n, label += block) {
        FM(row_block) g;
        FM(labelled) l;
        real terms[FM_BLOCK_ROWS * LANES];
        block = FM(block_rows)(rows, n);
        FM(block_scale)(&g, x, block, n);
        FM(block_classes)(&l, x, label, weight, block, n, rule);
        for (size_t r = 0; r < block; r++) {
            const real *row = x + r * n;
            if (l.class[r] == FM_NO_CLASS)
                continue;
            if (share != 0)
                l.spread[r] = FM(row_spread)(row, weight, n, g.max[r]);
            FM(block_exp)(&g, r, n <= LANES ? terms + r * LANES : dx && !stream ? dx + r * n : NULL, row, n);
        }
        FM(block_labels)(&l, &g, 0, own, share, z_loss, weight_sum, scale);
        for (size_t r = 0; r < block; r++) {
            const int counted = l.class[r] != FM_NO_CLASS;
            if (!counted)
                l.loss[r] = 0;
            if (loss)
                *loss++ = (real)l.loss[r];
            if (!dx)
                continue;
            const double whole = share != 0 ? l.slope[r] : l.slope[r] * FM_RAISED;
            const vec slope = v_set1((real)whole), rest = v_set1((real)(whole - (real)whole));
            const v_scale s = FM(scale_row)(&g, r);
            const real *row = x + r * n, *e = n <= LANES ? terms + r * LANES : dx;
            if (!counted)
                FM_ROW_STORE(dx, n, stream, v_set1(0))
            else if (share != 0)
                FM_RUN(dx, n, stream) {
                    const vec e_ = stream ? v_scaled(AT(row), s) : AT(e);
                    FM_RUN_PUT(dx, stream, v_fma(e_, slope, v_fma(e_, rest, weight ? v_mul(AT(weight), base) : base)));
                }
            else if (stream)
                FM_ROW_STORE(dx, n, 1, FM(probability)(v_scaled(AT(row), s), slope, rest))
            else
                FM_ROW_STORE(dx, n, 0, FM(probability)(AT(e), slope, rest))
            if (counted)
                dx[l.class[r]] = (real)l.fix[r];
            dx += n;
        }
        fm_tally_add(&sum, v64_sum(v64_load(l.loss)));
    }
    if (stream)
        fm_stream_end();
    return fm_tally_sum(&sum);
}

/* q: ((1 - smoothing) target + smoothing / n) weight, loaded with AT(). */
#define FM_SMOOTHED(target, weight) \
    (weight ? v_mul(v_fma(AT(target), own, share), AT(weight)) : v_fma(AT(target), own, share))

static double FM(cross_entropy_soft_rows)(real *dx, real *loss, const real *x, const real *target, const real *weight,
                                          size_t rows, size_t n, double smoothing, double z_loss, double scale,
                                          int stream)
{
    const vec own = v_set1((real)(1 - smoothing)), share = v_set1((real)(smoothing / (double)n));
    const vec vscale = v_set1((real)scale), less = v_set1((real)((real)scale - scale));
    fm_tally sum = {0, 0};
    for (; FM_TURNED(rows, n, LANES); rows -= LANES, x += LANES * n, target += LANES * n) {
        FM(cross_entropy_soft_short)(&sum, dx, loss, x, target, weight, n, smoothing, z_loss, scale);
        dx = dx ? dx + LANES * n : NULL, loss = loss ? loss + LANES : NULL;
    }
    for (size_t block; rows; rows -= block) {
        FM(row_block) g;
        double all[FM_BLOCK_ROWS] = {0}, spread[FM_BLOCK_ROWS], log_sum[FM_BLOCK_ROWS], values[FM_BLOCK_ROWS] = {0};
        block = FM(block_rows)(rows, n);
        FM(block_scale)(&g, x, block, n);
        for (size_t r = 0; r < block; r++) {
            const real *row = x + r * n, *q = target + r * n;
            const vec m = v_set1(g.max[r]);
            double mass = 0, weighed = 0;
            FM_ROW_SUM(mass, n, FM_SMOOTHED(q, weight))
            FM_ROW_SUM(weighed, n, v_mul(FM_SMOOTHED(q, weight), v_sub(m, AT(row))))
            all[r] = mass;
            spread[r] = weighed;
            FM(block_exp)(&g, r, NULL, row, n);
        }
        v64_store(log_sum, FM(block_log_sum)(&g, 0));
        for (size_t r = 0; r < block; r++, x += n, target += n) {
            const double lse = (double)g.max[r] + log_sum[r], pull = z_loss != 0 ? z_loss * lse : 0;
            values[r] = all[r] * log_sum[r] + spread[r];
            if (z_loss != 0)
                values[r] += pull * lse;
            if (loss)
                *loss++ = (real)values[r];
            if (!dx)
                continue;
            const v_scale s = FM(scale_row)(&g, r);
            const double whole = (all[r] + 2 * pull) * scale / (g.count[r] * g.top[r] + g.below[r]);
            const vec slope = v_set1((real)whole), rest = v_set1((real)(whole - (real)whole));
            FM_RUN(dx, n, stream) {
                const vec e_ = v_scaled(AT(x), s), q_ = FM_SMOOTHED(target, weight);
                FM_RUN_PUT(dx, stream, v_fnma(q_, vscale, v_fma(e_, slope, v_fma(e_, rest, v_mul(q_, less)))));
            }
            dx += n;
        }
        fm_tally_add(&sum, v64_sum(v64_load(values)));
    }
    if (stream)
        fm_stream_end();
    return fm_tally_sum(&sum);
}

/* ---- columns ------------------------------------------------------------------------------------------ */

/* Long because what a panel's columns know of themselves is fifteen vectors, which no part of it could take over. */
static double FM(cross_entropy_cols)(real *dx, real *loss, const real *x, const int64_t *label, const real *weight,
                                     size_t n, size_t stride, size_t width, fm_labels *rule, double smoothing,
                                     double z_loss, double weight_sum, double scale)
{
    const double own = 1 - smoothing, share = smoothing / (double)n;
    const vec zero = v_set1(0), one = v_set1(1), shares = v_set1((real)(share * weight_sum));
    const vec vshare = v_set1((real)share), base = v_set1((real)(-share * scale));
    const vec vscale = v_set1((real)scale), less = v_set1((real)(scale - (real)scale));
    const vec raised = v_set1((real)FM_RAISED);
    fm_tally sum = {0, 0};
    FM_PANELS(width) {
        vec max[FM_PANEL_VECTORS], count[FM_PANEL_VECTORS], below[FM_PANEL_VECTORS], low[FM_PANEL_VECTORS],
            spread[FM_PANEL_VECTORS];
        vec slope[FM_PANEL_VECTORS], slope_low[FM_PANEL_VECTORS];
        vec wide_w[FM_PANEL_VECTORS], wide_x[FM_PANEL_VECTORS], keep[FM_PANEL_VECTORS], fix[FM_PANEL_VECTORS],
            value[FM_PANEL_VECTORS];
        v_scale sc[FM_PANEL_VECTORS];
        real *w_ = (real *)wide_w, *x_ = (real *)wide_x, *keep_ = (real *)keep;
        const real *fix_ = (const real *)fix, *value_ = (const real *)value;
        size_t class[FM_PANEL_VECTORS * LANES];
        int some_ignored = 0;
        FM_PANEL_WHOLE(j) {
            wide_w[j] = wide_x[j] = keep[j] = zero;
        }
        for (size_t c = 0; c < w; c++) {
            const size_t k = class[c] = fm_class(label + at_ + c, n, rule);
            if (k == FM_NO_CLASS) {
                some_ignored = 1;
                continue;
            }
            keep_[c] = 1;
            w_[c] = weight ? weight[k] : 1;
            x_[c] = x[k * stride + at_ + c];
        }
        FM_COLS_COPY(src, terms, step, x, dx, n, stride)
        FM_COLS_MAX(src, n, step, max)
        if (share != 0)
            FM_COLS_SUM(n, spread, const vec m = max[j];
                        , , v_mul(weight ? v_set1(weight[i]) : one, v_sub(m, AT(src + i * step))))
        FM_COLS_EXP_SUM_BELOW(src, n, step, max, sc, count, below, low, if (terms) PUT(terms + i * step, v_joined(e));)
        /* A name and its _low are one number in two halves, so that each loss and slope is rounded about once. */
        FM_PANEL_WHOLE(j) {
            vec top_low;
            const vec top = FM(top)(max[j], sc[j], &top_low);
            vec log_low;
            const vec log = FM(log_sum)(count[j], below[j], low[j], top, top_low, &log_low);
            vec own_low;
            const vec own_e = FM(top)(wide_x[j], sc[j], &own_low);
            vec total_low = v_fma(count[j], top_low, low[j]);
            const vec at_max = v_mul(count[j], top), total = FM(gain)(at_max, below[j], &total_low);
            total_low = v_add(total_low, v_fma(count[j], top, v_sub(zero, at_max)));
            const vec ties = v_sub(count[j], one);
            vec others_low = v_sub(total_low, own_low);
            const vec rest_of = FM(gain)(total, v_sub(zero, own_e), &others_low);
            const vec others = v_if_eq(wide_x[j], max[j], v_fma(ties, top, below[j]), rest_of);
            others_low = v_if_eq(wide_x[j], max[j], v_fma(ties, top_low, low[j]), others_low);
            vec far_low = log_low;
            const vec far = FM(gain)(max[j], v_sub(zero, wide_x[j]), &far_low);
            const vec mine = v_mul(wide_w[j], v_set1((real)own)), sum_log = FM(gain)(far, log, &far_low);
            const vec nll = v_if_eq(v_sub(far, far), zero, v_add(sum_log, far_low), v_add(far, log));
            vec all = mine;
            vec rest = zero;
            vec more = zero;
            value[j] = v_mul(mine, nll);
            if (share != 0) {
                all = v_add(mine, shares);
                value[j] = v_add(value[j], v_fma(shares, log, v_mul(vshare, spread[j])));
                rest = v_sub(shares, v_mul(wide_w[j], vshare));
            }
            const vec pull_all = v_mul(all, vscale);
            slope[j] = v_div(pull_all, total);
            slope_low[j] = v_fma(all, less, v_fma(all, vscale, v_sub(zero, pull_all)));
            const vec left = v_fnma(slope[j], total_low, v_fnma(slope[j], total, pull_all));
            slope_low[j] = v_div(v_add(slope_low[j], left), total);
            if (z_loss != 0) {
                const vec lse = v_add(max[j], log), pull = v_mul(v_mul(wide_w[j], v_set1((real)z_loss)), lse);
                value[j] = v_fma(pull, lse, value[j]);
                more = v_div(v_add(pull, pull), total);
                rest = v_fma(more, own_e, rest);
                more = v_mul(more, vscale);
            }
            value[j] = v_if_eq(keep[j], zero, zero, value[j]);
            const vec small = v_fma(slope_low[j], others, v_mul(slope[j], others_low));
            fix[j] = v_fnma(slope[j], others, v_sub(v_mul(rest, vscale), small));
            slope[j] = v_add(slope[j], more);
        }
        for (size_t c = 0; c < w; c++)
            fm_tally_add(&sum, value_[c]);
        if (loss)
            FM_PANEL_EACH(PUT(loss, value[j]);)
        if (!dx)
            continue;
        /* clang-format off */
        if (share != 0)
            FM_COLS_EACH(n, const vec a = slope[j]; const vec b = slope_low[j];
                         , const vec part_ = weight ? v_mul(v_set1(weight[i]), base) : base;
                         const vec e_ = AT(terms + i * step);
                         PUT(dx + i * stride, v_fma(e_, a, v_fma(e_, b, part_)));, )
        /* clang-format on */
        else {
            FM_PANEL_WHOLE(j) {
                slope[j] = v_mul(slope[j], raised);
                slope_low[j] = v_mul(slope_low[j], raised);
            }
            for (size_t i = 0; i < n; i++)
                FM_PANEL_EACH(PUT(dx + i * stride, FM(probability)(AT(terms + i * step), slope[j], slope_low[j]));)
        }
        /* clang-format off */
        if (some_ignored)
            FM_COLS_EACH(n, const vec kept = keep[j];
                         , real *row = dx + i * stride; PUT(row, v_if_eq(kept, zero, zero, AT(row)));, )
        /* clang-format on */
        for (size_t c = 0; c < w; c++)
            if (class[c] != FM_NO_CLASS)
                dx[class[c] * stride + at_ + c] = fix_[c];
    }
    return fm_tally_sum(&sum);
}

#define FM_SMOOTHED_DOWN(target) v_mul(v_fma(AT(target + i * stride), own, share), weight ? v_set1(weight[i]) : one)

static double FM(cross_entropy_soft_cols)(real *dx, real *loss, const real *x, const real *target, const real *weight,
                                          size_t n, size_t stride, size_t width, double smoothing, double z_loss,
                                          double scale)
{
    const vec own = v_set1((real)(1 - smoothing)), share = v_set1((real)(smoothing / (double)n));
    const vec one = v_set1(1), vscale = v_set1((real)scale);
    fm_tally sum = {0, 0};
    FM_PANELS(width) {
        vec max[FM_PANEL_VECTORS], count[FM_PANEL_VECTORS], below[FM_PANEL_VECTORS], low[FM_PANEL_VECTORS],
            spread[FM_PANEL_VECTORS], all[FM_PANEL_VECTORS];
        vec value[FM_PANEL_VECTORS], slope[FM_PANEL_VECTORS];
        v_scale sc[FM_PANEL_VECTORS];
        const real *value_ = (const real *)value;
        FM_COLS_MAX(x, n, stride, max)
        FM_COLS_SUM(n, spread, const vec m = max[j];, , v_mul(FM_SMOOTHED_DOWN(target), v_sub(m, AT(x + i * stride))))
        FM_COLS_SUM(n, all, , , FM_SMOOTHED_DOWN(target))
        FM_COLS_EXP_SUM_BELOW(x, n, stride, max, sc, count, below, low, )
        FM_PANEL_WHOLE(j) {
            vec top_low;
            vec log_low;
            const vec top = FM(top)(max[j], sc[j], &top_low);
            const vec log_sum = FM(log_sum)(count[j], below[j], low[j], top, top_low, &log_low);
            value[j] = v_fma(all[j], log_sum, v_fma(all[j], log_low, spread[j]));
            if (z_loss != 0) {
                const vec lse = v_add(max[j], log_sum), pull = v_mul(v_set1((real)z_loss), lse);
                value[j] = v_fma(pull, lse, value[j]);
                all[j] = v_add(all[j], v_add(pull, pull));
            }
            slope[j] = v_div(v_mul(all[j], vscale), v_fma(count[j], top, below[j]));
        }
        for (size_t c = 0; c < w; c++)
            fm_tally_add(&sum, value_[c]);
        if (loss)
            FM_PANEL_EACH(PUT(loss, value[j]);)
        /* clang-format off */
        if (dx)
            FM_COLS_EACH(n, const v_scale s = sc[j]; const vec a = slope[j];
                         , PUT(dx + i * stride, v_fnma(FM_SMOOTHED_DOWN(target), vscale,
                                                       v_mul(v_scaled(AT(x + i * stride), s), a)));, )
        /* clang-format on */
    }
    return fm_tally_sum(&sum);
}
