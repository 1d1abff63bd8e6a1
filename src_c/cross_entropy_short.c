/* Cross-entropy of LANES short rows turned into columns, with the operations of cross_entropy.c and so its bits. */

/* The losses of LANES rows to loss (NULL: nowhere) and to sum, FM_BLOCK_ROWS at once. */
FM_INLINE void FM(add_losses)(fm_tally *sum, real *loss, const double *value)
{
    vec rest;
    if (loss)
        v_store(loss, FM(split)(value, &rest));
    for (size_t h = 0; h < LANES; h += FM_BLOCK_ROWS)
        fm_tally_add(sum, v64_sum(v64_load(value + h)));
}

static void FM(cross_entropy_short)(fm_tally *sum, real *dx, real *loss, const real *x, const int64_t *label,
                                    const real *weight, size_t n, fm_labels *rule, double smoothing, double z_loss,
                                    double weight_sum, double scale)
{
    const double own = 1 - smoothing, share = smoothing / (double)n;
    const vec base = v_set1((real)(-share * scale));
    FM(short_rows) s;
    FM(row_block) g;
    FM(labelled) l;
    vec rest;
    int some_ignored = 0;
    FM(turn_in)(&s, s.x, x, n);
    FM(block_classes)(&l, x, label, weight, LANES, n, rule);
    if (share != 0) {
        const vec max = FM(max_of)(s.x, n);
        vec far[LANES];
        for (size_t i = 0; i < n; i++) {
            const vec d = v_sub(max, s.x[i]);
            far[i] = weight ? v_mul(v_set1(weight[i]), d) : d;
        }
        FM(store_wide)(l.spread, FM(sum_of)(far, n));
    }
    FM(short_exp)(&g, dx ? s.x : NULL, s.x, n);
    for (size_t h = 0; h < LANES; h += FM_BLOCK_ROWS)
        FM(block_labels)(&l, &g, h, own, share, z_loss, weight_sum, scale);
    for (size_t r = 0; r < LANES; r++)
        if (l.class[r] == FM_NO_CLASS)
            l.loss[r] = 0, some_ignored = 1;
    FM(add_losses)(sum, loss, l.loss);
    if (!dx)
        return;
    for (size_t h = 0; h < LANES && share == 0; h += FM_BLOCK_ROWS)
        v64_store(l.slope + h, v64_mul(v64_load(l.slope + h), v64_set1(FM_RAISED)));
    const vec slope = FM(split)(l.slope, &rest);
    for (size_t i = 0; i < n; i++) {
        const vec e = s.x[i], part = weight ? v_mul(v_set1(weight[i]), base) : base;
        s.x[i] = share != 0 ? v_fma(e, slope, v_fma(e, rest, part)) : FM(probability)(e, slope, rest);
    }
    FM(turn_out)(&s, dx, s.x, n);
    for (size_t r = 0; r < LANES; r++)
        if (l.class[r] != FM_NO_CLASS)
            dx[r * n + l.class[r]] = (real)l.fix[r];
    for (size_t r = 0; r < LANES && some_ignored; r++)
        for (size_t i = 0; i < n && l.class[r] == FM_NO_CLASS; i++)
            dx[r * n + i] = 0;
}

/* value (OUT): the losses; all (IN: the mass of q, OUT): the slopes by which E goes into dx. */
FM_INLINE void FM(soft_slopes)(double *value, double *all, const double *spread, const FM(row_block) *g, double z_loss,
                               double scale)
{
    for (size_t h = 0; h < LANES; h += FM_BLOCK_ROWS) {
        const v64 mass = v64_load(all + h), log_sum = FM(block_log_sum)(g, h);
        const v64 total = v64_add(v64_mul(v64_load(g->count + h), v64_load(g->top + h)), v64_load(g->below + h));
        v64 loss = v64_add(v64_mul(mass, log_sum), v64_load(spread + h)), pulled = mass;
        if (z_loss != 0) {
            const v64 lse = v64_add(v_wide_lo(v_load(g->max + h)), log_sum), pull = v64_mul(v64_set1(z_loss), lse);
            loss = v64_add(loss, v64_mul(pull, lse));
            pulled = v64_add(mass, v64_add(pull, pull));
        }
        v64_store(value + h, loss);
        v64_store(all + h, v64_div(v64_mul(pulled, v64_set1(scale)), total));
    }
}

static void FM(cross_entropy_soft_short)(fm_tally *sum, real *dx, real *loss, const real *x, const real *target,
                                         const real *weight, size_t n, double smoothing, double z_loss, double scale)
{
    const vec own = v_set1((real)(1 - smoothing)), share = v_set1((real)(smoothing / (double)n));
    const vec vscale = v_set1((real)scale), less = v_set1((real)((real)scale - scale));
    FM(short_rows) s;
    FM(row_block) g;
    vec q[LANES], far[LANES], rest;
    double all[LANES], spread[LANES], value[LANES];
    FM(turn_in)(&s, s.x, x, n);
    FM(turn_in)(&s, q, target, n);
    const vec max = FM(max_of)(s.x, n);
    for (size_t i = 0; i < n; i++) {
        const vec smoothed = v_fma(q[i], own, share);
        q[i] = weight ? v_mul(smoothed, v_set1(weight[i])) : smoothed;
        far[i] = v_mul(q[i], v_sub(max, s.x[i]));
    }
    FM(store_wide)(all, FM(sum_of)(q, n));
    FM(store_wide)(spread, FM(sum_of)(far, n));
    FM(short_exp)(&g, dx ? s.x : NULL, s.x, n);
    FM(soft_slopes)(value, all, spread, &g, z_loss, scale);
    FM(add_losses)(sum, loss, value);
    if (!dx)
        return;
    const vec slope = FM(split)(all, &rest);
    for (size_t i = 0; i < n; i++)
        s.x[i] = v_fnma(q[i], vscale, v_fma(s.x[i], slope, v_fma(s.x[i], rest, v_mul(q[i], less))));
    FM(turn_out)(&s, dx, s.x, n);
}
