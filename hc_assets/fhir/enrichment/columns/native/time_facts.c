/* Facts of time that resources state, judged for a whole column at once.
 *
 * Belongs here: the facts of fhir/enrichment/consistency.py that nearly all resources state, and that hold. What does
 * not hold, or is written as few write it, is marked, and left to Python. Places come from
 * resource_texts.c; nothing is read outside of the buffers given.
 */
#include "rows.h"

#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static const int64_t DAY = 86400000000; /* microseconds */
static const int64_t UNKNOWN = INT64_MIN;

/* What a date or time can mean: microseconds since 1970-01-01 UTC. */
typedef struct {
    int64_t first, last;
    int has_time;
} Moments;

enum { ABSENT, READ, UNUSUAL };

/* A number of so many digits; -1 where there is anything else. */
static int digits(const uint8_t *at, int count) {
    int number = 0;
    for (int i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9') return -1;
        number = number * 10 + at[i] - '0';
    }
    return number;
}

static int is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static int days_in(int year, int month) {
    static const int8_t DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : DAYS[month - 1];
}

/* Days since 1970-01-01, of a year from 1 on. */
static int64_t day_number(int year, int month, int day) {
    static const int16_t BEFORE[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t years = year - 1;
    int64_t days = years * 365 + years / 4 - years / 100 + years / 400 + BEFORE[month - 1] + day - 1;
    return days + (month > 2 && is_leap(year)) - 719162;
}

/* Reads a date, dateTime or instant without its quotes. What Python reads otherwise than by these
 * rules, or not at all, is UNUSUAL: leap seconds, days that do not exist. */
static int read_moments(const uint8_t *at, int64_t size, Moments *found) {
    int year, month = 1, day = 1;
    if (size < 4 || (year = digits(at, 4)) < 1) return UNUSUAL;
    if (size == 4) {
        found->first = day_number(year, 1, 1) * DAY;
        found->last = (day_number(year, 12, 31) + 1) * DAY - 1;
        found->has_time = 0;
        return READ;
    }
    if (size < 7 || at[4] != '-' || (month = digits(at + 5, 2)) < 1 || month > 12) return UNUSUAL;
    if (size == 7) {
        found->first = day_number(year, month, 1) * DAY;
        found->last = (day_number(year, month, days_in(year, month)) + 1) * DAY - 1;
        found->has_time = 0;
        return READ;
    }
    if (size < 10 || at[7] != '-' || (day = digits(at + 8, 2)) < 1 || day > days_in(year, month))
        return UNUSUAL;
    int64_t start = day_number(year, month, day) * DAY;
    if (size == 10) {
        found->first = start;
        found->last = start + DAY - 1;
        found->has_time = 0;
        return READ;
    }
    if (size < 20 || at[10] != 'T' || at[13] != ':' || at[16] != ':') return UNUSUAL;
    int hour = digits(at + 11, 2), minute = digits(at + 14, 2), second = digits(at + 17, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return UNUSUAL;
    int64_t place = 19, fraction = 0;
    if (at[place] == '.') {
        int64_t unit = 100000;
        for (place++; place < size && at[place] >= '0' && at[place] <= '9'; place++) {
            fraction += (at[place] - '0') * unit;
            unit /= 10; /* what is finer than a microsecond is cut off */
        }
        if (place == 20) return UNUSUAL;
    }
    int64_t offset = 0;
    if (size - place == 6 && (at[place] == '+' || at[place] == '-') && at[place + 3] == ':') {
        int hours = digits(at + place + 1, 2), minutes = digits(at + place + 4, 2);
        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return UNUSUAL;
        offset = (hours * 3600 + minutes * 60) * (at[place] == '-' ? -1 : 1);
    } else if (size - place != 1 || at[place] != 'Z') {
        return UNUSUAL;
    }
    int64_t seconds = hour * 3600 + minute * 60 + second - offset;
    found->first = found->last = start + seconds * 1000000 + fraction;
    found->has_time = 1;
    return READ;
}

/* Where a text ends that is written without any escape, from behind its first quote. */
static int64_t plain_end(const uint8_t *text, int64_t at, int64_t end) {
    while (at < end && text[at] != '"' && text[at] != '\\') at++;
    return at < end && text[at] == '"' ? at : -1;
}

/* Reads `"<name>":"<moment>"` at a place, and moves behind it. */
static int read_named(const uint8_t *text, int64_t *at, int64_t end, const char *name,
                      Moments *found) {
    int64_t size = (int64_t)strlen(name);
    if (end - *at < size || memcmp(text + *at, name, (size_t)size) != 0) return ABSENT;
    int64_t close = plain_end(text, *at + size, end);
    if (close < 0) return UNUSUAL;
    int read = read_moments(text + *at + size, close - *at - size, found);
    *at = close + 1;
    return read;
}

/* Reads both ends of a Period that has these in order and nothing else. */
static int read_period(const uint8_t *text, int64_t size, Moments ends[2], int are_there[2]) {
    int64_t at = 1;
    if (size < 2 || text[0] != '{') return UNUSUAL;
    int start = read_named(text, &at, size, "\"start\":\"", &ends[0]);
    if (start == READ && at < size && text[at] == ',') {
        at++;
        if (at < size && text[at] == '}') return UNUSUAL;
    }
    int end = read_named(text, &at, size, "\"end\":\"", &ends[1]);
    if (start == UNUSUAL || end == UNUSUAL || at != size - 1 || text[at] != '}') return UNUSUAL;
    are_there[0] = start == READ;
    are_there[1] = end == READ;
    return READ;
}

/* Reads when something was or, of a Period, began. */
static int read_begin(const uint8_t *text, int64_t size, Moments *found) {
    if (size >= 2 && text[0] == '"') return read_moments(text + 1, size - 2, found);
    if (size < 1 || text[0] != '{') return UNUSUAL;
    Moments ends[2];
    int are_there[2];
    int read = read_period(text, size, ends, are_there);
    if (read != READ) return read;
    *found = ends[0];
    return are_there[0] ? READ : ABSENT;
}

enum { LATER = 0, IN_ORDER = 1, UNTOLD = -1 };

/* `times.in_order`. */
static int in_order(Moments first, Moments second) {
    int64_t slack = first.has_time != second.has_time ? DAY : 0;
    if (first.first > second.last + slack) return LATER;
    int is_vague = first.last - first.first >= DAY || second.last - second.first >= DAY;
    if (is_vague && first.last > second.first) return UNTOLD;
    return IN_ORDER;
}

enum { MALE = 1, FEMALE = 2 };

typedef struct {
    const uint8_t *text;
    const Span *values;
    int32_t judged;
} Row;

static Span value_at(const Row *row, int32_t place) { return row->values[place]; }

/* Whether an order of times holds, or can't be decided; 0 where it does not. */
static int judge_order(Row *row, Moments first, Moments second) {
    int holds = in_order(first, second);
    if (holds == UNTOLD) return 1;
    row->judged++;
    return holds == IN_ORDER;
}

static int judge_own_dates(Row *row, const Plan *plan) {
    for (int i = 0; i < PAIRS; i++) {
        if (plan->pairs[i][0] < 0) continue;
        Moments ends[2];
        for (int j = 0; j < 2; j++) {
            Span value = value_at(row, plan->pairs[i][j]);
            if (value.end - value.begin < 2 || row->text[value.begin] != '"') return 0;
            int64_t size = value.end - value.begin - 2;
            if (read_moments(row->text + value.begin + 1, size, &ends[j]) != READ) return 0;
        }
        if (!judge_order(row, ends[0], ends[1])) return 0;
    }
    for (int i = 0; i < PERIODS; i++) {
        if (plan->periods[i] < 0) continue;
        Span value = value_at(row, plan->periods[i]);
        Moments ends[2];
        int are_there[2];
        if (read_period(row->text + value.begin, value.end - value.begin, ends, are_there) != READ)
            return 0;
        if (are_there[0] && are_there[1] && !judge_order(row, ends[0], ends[1])) return 0;
    }
    return 1;
}

static int judge_life(Row *row, const Plan *plan, const Patient *patient, uint8_t sex_of_code) {
    for (int i = 0; i < IN_LIFE; i++) {
        if (plan->in_life[i] < 0) continue;
        Span value = value_at(row, plan->in_life[i]);
        Moments at;
        int read = read_begin(row->text + value.begin, value.end - value.begin, &at);
        if (read == UNUSUAL) return 0;
        if (read == ABSENT) continue;
        if (patient->birth_first != UNKNOWN) {
            Moments birth = {patient->birth_first, patient->birth_last, 0};
            if (!judge_order(row, birth, at)) return 0;
        }
        if (patient->death_first != UNKNOWN) {
            row->judged++;
            if (at.first > patient->death_last + DAY) return 0;
        }
    }
    if (sex_of_code != 0 && (patient->sex == MALE || patient->sex == FEMALE)) {
        row->judged++;
        if (patient->sex != sex_of_code) return 0;
    }
    return 1;
}

static int judge_encounter(Row *row, const Plan *plan, const Encounter *encounter) {
    if (encounter->start_first == UNKNOWN && encounter->end_last == UNKNOWN) return 1;
    for (int i = 0; i < IN_ENCOUNTER; i++) {
        if (plan->in_encounter[i] < 0) continue;
        Span value = value_at(row, plan->in_encounter[i]);
        Moments at;
        int read = read_begin(row->text + value.begin, value.end - value.begin, &at);
        if (read == UNUSUAL) return 0;
        if (read == ABSENT) continue;
        row->judged++;
        if (encounter->start_first != UNKNOWN && at.last < encounter->start_first - DAY) return 0;
        if (encounter->end_last != UNKNOWN && at.first > encounter->end_last + DAY) return 0;
    }
    return 1;
}

/* Counts the facts of time and sex that can be judged of each resource.
 *
 * offsets: rows + 1 of them, into data.
 * first_member: where a row's members begin in values, which begin at the row's text.
 * plan_of: number of a row's plan; -1 where nothing is asked of it.
 * patient_of, encounter_of: numbers of a row's patient and encounter; -1 where there is none.
 * sex_of_code: MALE or FEMALE where only such patients can have what the row codes, else 0.
 * judged: of each row, how many facts; -1 where one does not hold or is not read here. */
EXPORT void hc_judged(const uint8_t *data, const int64_t *offsets, int64_t rows,
                      const int64_t *first_member, const Span *values, const int32_t *plan_of,
                      const Plan *plans, const int64_t *patient_of, const Patient *patients,
                      const int64_t *encounter_of, const Encounter *encounters,
                      const uint8_t *sex_of_code, int32_t *judged) {
    for (int64_t i = 0; i < rows; i++) {
        judged[i] = 0;
        if (plan_of[i] < 0) continue;
        const Plan *plan = plans + plan_of[i];
        Row row = {data + offsets[i], values + first_member[i], 0};
        int holds = judge_own_dates(&row, plan);
        if (holds && patient_of[i] >= 0)
            holds = judge_life(&row, plan, patients + patient_of[i], sex_of_code[i]);
        if (holds && encounter_of[i] >= 0)
            holds = judge_encounter(&row, plan, encounters + encounter_of[i]);
        judged[i] = holds ? row.judged : -1;
    }
}
