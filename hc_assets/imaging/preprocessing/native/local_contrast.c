/* Contrast limited adaptive histogram equalisation (Zuiderveld, Graphics Gems IV, 1994) of floats.
 *
 * Each tile's histogram is clipped and summed into a map from old values to new ones, given at the
 * edges of its bins and straight in between, so that no two values become one. The maps of the four
 * nearest tiles are weighed by distance.
 */
#include "../../../core/native/layout.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef int Sides[2]; /* down, across */

LAYOUT(
    {"version", 1}, /* raised with each change of the function's arguments */
    {"pixel", sizeof(float)}, {"sides", sizeof(Sides)}, {"size", sizeof(int)},
    {"limit", sizeof(double)}
)

static int bin_of(float value, int bins) {
    const float place = value * (float)bins;
    if (!(place > 0)) return 0; /* what is no number, too */
    return place < (float)bins ? (int)place : bins - 1;
}

static int edge(int tile, int tiles, int size) { return (int)((int64_t)tile * size / tiles); }

/* Count a tile's values; those of 0 only where they are wanted. */
static int64_t count(const float *in, int columns, const int box[4], int bins, int skip_zeros,
                     uint32_t *histogram) {
    int64_t counted = 0;
    memset(histogram, 0, (size_t)bins * sizeof *histogram);
    for (int row = box[0]; row < box[1]; row++) {
        const float *line = in + (size_t)row * (size_t)columns;
        for (int column = box[2]; column < box[3]; column++) {
            const int wanted = !skip_zeros || line[column] > 0;
            histogram[bin_of(line[column], bins)] += (uint32_t)wanted;
            counted += wanted;
        }
    }
    return counted;
}

/* Clip a histogram, spread what was cut off evenly, and sum it up to values at the edges of bins. */
static void sum_up(const uint32_t *histogram, int64_t counted, int bins, double limit, float *map) {
    const double most = limit * (double)counted / bins;
    double excess = 0, sum = 0;
    for (int bin = 0; bin < bins; bin++)
        if (histogram[bin] > most) excess += histogram[bin] - most;
    map[0] = 0;
    for (int bin = 0; bin < bins; bin++) {
        const double kept = histogram[bin] > most ? most : histogram[bin];
        sum += counted > 0 ? (kept + excess / bins) / (double)counted : 1.0 / bins;
        map[bin + 1] = (float)sum;
    }
    map[bins] = 1;
}

/* Twice the middle of a tile, in pixels from the edge of the first. */
static int middle(int tile, int tiles, int size) {
    return edge(tile, tiles, size) + edge(tile + 1, tiles, size);
}

/* Give the last tile whose middle is not behind a place, and the weight of the next one. */
static int tile_before(int place, int tiles, int size, float *weight) {
    const int twice = 2 * place + 1;
    int tile = (int)((int64_t)place * tiles / size);
    while (tile >= 0 && twice < middle(tile, tiles, size)) tile--;
    while (tile + 1 < tiles && twice >= middle(tile + 1, tiles, size)) tile++;
    *weight = 0;
    if (tile < 0) return 0;
    if (tile >= tiles - 1) return tiles - 1;
    const int here = middle(tile, tiles, size);
    *weight = (float)(twice - here) / (float)(middle(tile + 1, tiles, size) - here);
    return tile;
}

/* Equalise rows by columns floats from 0 to 1 into `out`, which may be `in`; tiles are down, across.
 * With skip_zeros values of 0 are not counted, and stay 0. Gives 0, or -1 where memory is out.
 */
EXPORT int hc_equalise(const float *in, float *out, int rows, int columns, const Sides tiles,
                       int bins, double limit, int skip_zeros) {
    const int down = tiles[0], across = tiles[1];
    const size_t knots = (size_t)bins + 1;
    uint32_t *histogram = malloc((size_t)bins * sizeof *histogram);
    float *maps = malloc((size_t)down * (size_t)across * knots * sizeof *maps);
    float *mixed = malloc((size_t)across * knots * sizeof *mixed);
    int *befores = malloc((size_t)columns * sizeof *befores);
    float *weights = malloc((size_t)columns * sizeof *weights);
    const int is_out = !histogram || !maps || !mixed || !befores || !weights;
    if (!is_out) {
        for (int tile = 0; tile < down * across; tile++) {
            const int i = tile / across, j = tile % across;
            const int box[4] = {edge(i, down, rows), edge(i + 1, down, rows),
                                edge(j, across, columns), edge(j + 1, across, columns)};
            const int64_t counted = count(in, columns, box, bins, skip_zeros, histogram);
            sum_up(histogram, counted, bins, limit, maps + (size_t)tile * knots);
        }
        for (int column = 0; column < columns; column++)
            befores[column] = tile_before(column, across, columns, &weights[column]);
        for (int row = 0; row < rows; row++) {
            float weight;
            const int above = tile_before(row, down, rows, &weight);
            const int below = above + 1 < down ? above + 1 : above;
            const float *upper = maps + (size_t)above * (size_t)across * knots;
            const float *lower = maps + (size_t)below * (size_t)across * knots;
            for (size_t k = 0; k < (size_t)across * knots; k++)
                mixed[k] = upper[k] + weight * (lower[k] - upper[k]);
            const float *from = in + (size_t)row * (size_t)columns;
            float *to = out + (size_t)row * (size_t)columns;
            for (int column = 0; column < columns; column++) {
                const float value = from[column];
                if (skip_zeros && !(value > 0)) {
                    to[column] = 0;
                    continue;
                }
                const int bin = bin_of(value, bins);
                const float part = value * (float)bins - (float)bin;
                const float *left = mixed + (size_t)befores[column] * knots + bin;
                const float *right = befores[column] + 1 < across ? left + knots : left;
                const float one = left[0] + part * (left[1] - left[0]);
                const float other = right[0] + part * (right[1] - right[0]);
                to[column] = one + weights[column] * (other - one);
            }
        }
    }
    free(histogram);
    free(maps);
    free(mixed);
    free(befores);
    free(weights);
    return is_out ? -1 : 0;
}
