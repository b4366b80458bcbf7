/* The functions that Python calls. */
#include "fast_path.h"

#include <stdlib.h>
#include <string.h>

int grow(Run *run, void **items, int32_t *room, size_t size) {
    int32_t larger = *room == 0 ? 16 : *room;
    void *grown = NULL;
    if (*room < INT32_MAX / 2) {
        if (*room > 0) larger *= 2;
        grown = realloc(*items, (size_t)larger * size);
    }
    if (grown == NULL) {
        run->is_out_of_memory = 1;
        return 0;
    }
    *items = grown;
    *room = larger;
    return 1;
}

EXPORT Run *hc_run_new(const Table *table) {
    Run *run = calloc(1, sizeof *run);
    if (run != NULL) run->table = table;
    return run;
}

EXPORT void hc_run_free(Run *run) {
    if (run == NULL) return;
    while (run->scratch.count > 0) free(run->scratch.items[--run->scratch.count]);
    free(run->scratch.items);
    free(run->resources.items);
    free(run->references.items);
    free(run->entries.items);
    free(run->narratives.items);
    free(run->bare.items);
    free(run->index.items);
    free(run);
}

/* Decides on one text: -1 where it can't decide, 0 for a valid one that needs nothing more, 1 + type
 * for a valid one whose only remark is that the root has no narrative, -2 for one that is valid if
 * what hc_narratives gives is right, and whose remarks hc_bare gives.
 */
EXPORT int32_t hc_accept(Run *run, const uint8_t *text, size_t size) {
    run->is_accepted = accept(run, text, size);
    if (!run->is_accepted) return -1;
    if (run->narratives.count > 0 || run->bare.count > 1) return -2;
    if (run->bare.count == 0) return 0;
    return run->bare.items[0].first < 0 ? 1 + run->bare.items[0].second : -2;
}

EXPORT int32_t hc_narratives(const Run *run, const Pair **items) {
    *items = run->narratives.items;
    return run->narratives.count;
}

EXPORT int32_t hc_bare(const Run *run, const Pair **items) {
    *items = run->bare.items;
    return run->bare.count;
}
