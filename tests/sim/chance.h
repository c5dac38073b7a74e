/* Chance from one seed (SplitMix64).  SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

static inline uint64_t chance_next(struct chance *chance)
{
	uint64_t z = (chance->state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* In [LOW, HIGH]; evenly enough. */
static inline int64_t chance_between(struct chance *chance, int64_t low, int64_t high)
{
	return low + (int64_t)(chance_next(chance) % ((uint64_t)(high - low) + 1));
}

/* True PER_MILLE times in a thousand. */
static inline bool chance_hits(struct chance *chance, int per_mille)
{
	return per_mille > 0 && (int)(chance_next(chance) % 1000) < per_mille;
}

/* Mostly small, now and then up to HIGH: two draws multiplied. */
static inline int64_t chance_skewed(struct chance *chance, int64_t low, int64_t high)
{
	double a = (double)(chance_next(chance) >> 11) * 0x1p-53, b = (double)(chance_next(chance) >> 11) * 0x1p-53;

	return low + (int64_t)((double)(high - low) * a * b * b);
}

#endif
