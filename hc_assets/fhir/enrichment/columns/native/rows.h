/* Rows that NumPy's arrays hold for the calls of these files. */
#ifndef HC_ROWS_H
#define HC_ROWS_H

#include <stdint.h>

typedef struct {
    int32_t begin, end;
} Span;

typedef struct {
    int64_t begin, end;
} Place;

typedef struct {
    int64_t row, begin, end;
} Reference;

typedef struct {
    int64_t source, begin, end;
} Piece;

/* Places of members by what is asked of them; -1 where a shape has none. As `PLAN` of resource_columns.py. */
enum { PAIRS = 2, PERIODS = 4, IN_LIFE = 3, IN_ENCOUNTER = 3 };
typedef struct {
    int32_t pairs[PAIRS][2], periods[PERIODS], in_life[IN_LIFE], in_encounter[IN_ENCOUNTER];
} Plan;

/* As `PATIENT` and `ENCOUNTER` of resource_columns.py, which have no gaps. */
#pragma pack(push, 1)
typedef struct {
    uint64_t key;
    int64_t birth_first, birth_last, death_first, death_last;
    uint8_t death_has_time, sex;
} Patient;
typedef struct {
    uint64_t key;
    int64_t start_first;
    uint8_t start_has_time;
    int64_t end_last;
    uint8_t end_has_time;
} Encounter;
#pragma pack(pop)

#endif
