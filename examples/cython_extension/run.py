"""Calls the two extensions of setup.py and compares their results with fastml's own, bit by bit."""

import attention
import numpy as np
import plain

import fastml

scores = np.random.default_rng(0).standard_normal((2000, 500), np.float32)
weights = np.empty_like(scores)

plain.softmax(weights, scores, scores.shape[1])
print("softmax in C:", np.array_equal(weights, fastml.softmax(scores)))

expected = fastml.dropout(fastml.softmax(scores), 0.1, seed=7)
for function in attention.on_one_thread, attention.by_prange, attention.by_fastml:
    weights.fill(-1)
    function(weights, scores, 0.1, 7)
    print(f"{function.__name__}: {np.array_equal(weights, expected)}")
