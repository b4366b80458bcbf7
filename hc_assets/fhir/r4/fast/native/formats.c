/* Forms of single values: the patterns of fhir/r4/primitives.py, fhir/references.py and fhir/r4/bindings.py by hand.
 *
 * Each function accepts at most what its pattern accepts; that they agree is tested on values of
 * every form.
 */
#include "fast_path.h"

#include <string.h>

static inline int is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static inline int is_letter(uint8_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static inline int is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static int digits(const uint8_t *at, int count) {
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!is_digit(at[i])) return -1;
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

static int is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/* A calendar date of 4, 7 or 10 characters at the front; gives how many, 0 for none. */
static size_t date_length(Text text) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (text.size < 4) return 0;
    int year = digits(text.at, 4);
    if (year < 1) return 0;
    if (text.size == 4) return 4;
    if (text.size < 7 || text.at[4] != '-') return 0;
    int month = digits(text.at + 5, 2);
    if (month < 1 || month > 12) return 0;
    if (text.size == 7) return 7;
    if (text.size < 10 || text.at[7] != '-') return 0;
    int day = digits(text.at + 8, 2);
    int last = days[month - 1] + (month == 2 && is_leap(year));
    return day >= 1 && day <= last ? 10 : 0;
}

/* hh:mm:ss with any number of digits of a second; gives how many characters, 0 for none. */
static size_t time_length(Text text) {
    if (text.size < 8 || text.at[2] != ':' || text.at[5] != ':') return 0;
    int hour = digits(text.at, 2), minute = digits(text.at + 3, 2), second = digits(text.at + 6, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return 0;
    if (text.size == 8 || text.at[8] != '.') return 8;
    size_t length = 9;
    while (length < text.size && is_digit(text.at[length])) length++;
    return length > 9 ? length : 0;
}

static int is_zone(Text text) {
    if (text.size == 1) return text.at[0] == 'Z';
    if (text.size != 6 || (text.at[0] != '+' && text.at[0] != '-') || text.at[3] != ':') return 0;
    int hour = digits(text.at + 1, 2), minute = digits(text.at + 4, 2);
    return hour >= 0 && minute >= 0 && ((hour <= 13 && minute <= 59) || (hour == 14 && minute == 0));
}

static Text from(Text text, size_t start) {
    Text rest = {text.at + start, text.size - start};
    return rest;
}

static int is_time_with_zone(Text text) {
    if (text.size == 0 || text.at[0] != 'T') return 0;
    text = from(text, 1);
    size_t length = time_length(text);
    return length > 0 && is_zone(from(text, length));
}

static int is_date_time(Text text) {
    if (text.size <= 10) return date_length(text) == text.size && text.size > 0;
    return date_length(text) == 10 && is_time_with_zone(from(text, 10));
}

static int is_instant(Text text) {
    return text.size > 10 && date_length(text) == 10 && is_time_with_zone(from(text, 10));
}

static int is_code(Text text) {
    int was_space = 1;
    for (size_t i = 0; i < text.size; i++) {
        int space = is_space(text.at[i]);
        if (space && (was_space || text.at[i] != ' ')) return 0;
        was_space = space;
    }
    return !was_space;
}

int is_id(Text text) {
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.at[i];
        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '.') return 0;
    }
    return text.size >= 1 && text.size <= 64;
}

static int is_oid(Text text) {
    if (!begins(text, "urn:oid:")) return 0;
    text = from(text, 8);
    if (text.size < 3 || text.at[0] < '0' || text.at[0] > '2') return 0;
    size_t i = 1;
    while (i < text.size) {
        if (text.at[i++] != '.' || i >= text.size || !is_digit(text.at[i])) return 0;
        if (text.at[i++] == '0') continue;
        while (i < text.size && is_digit(text.at[i])) i++;
    }
    return 1;
}

static int is_uuid(Text text, int lower_only) {
    if (text.size != 45 || !begins(text, "urn:uuid:")) return 0;
    for (int i = 0; i < 36; i++) {
        uint8_t c = text.at[9 + i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') return 0;
        } else if (!is_digit(c) && !(c >= 'a' && c <= 'f') && (lower_only || !(c >= 'A' && c <= 'F'))) {
            return 0;
        }
    }
    return 1;
}

int is_urn_uuid(Text text) { return is_uuid(text, 0); }

static int is_uri(Text text) {
    for (size_t i = 0; i < text.size; i++)
        if (is_space(text.at[i])) return 0;
    /* UUIDs with capitals, and URNs with more behind them, are for the thorough path. */
    if (begins(text, "urn:uuid:")) return is_uuid(text, 1);
    if (begins(text, "urn:oid:")) return is_oid(text);
    return text.size > 0 && !begins(text, "oid:") && !begins(text, "uuid:");
}

/* Groups of four without white space; with it, the thorough path decides. */
static int is_base64(Text text) {
    size_t size = text.size;
    if (size == 0 || size % 4 != 0) return 0;
    if (text.at[size - 1] == '=') size--;
    if (text.at[size - 1] == '=') size--;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = text.at[i];
        if (!is_letter(c) && !is_digit(c) && c != '+' && c != '/') return 0;
    }
    return 1;
}

int has_form(enum Form form, const String *value) {
    Text text = value->text;
    if (text.size == 0) return 0;
    if (form == BASE64) return is_base64(text);
    if (form != XHTML && text.size > MAX_STRING) return 0;
    switch (form) {
    case STRING: case XHTML: return 1;
    case CODE: return is_code(text);
    case ID: return is_id(text);
    case URI: return is_uri(text);
    case DATE: return date_length(text) == text.size;
    case DATE_TIME: return is_date_time(text);
    case INSTANT: return is_instant(text);
    case TIME: return time_length(text) == text.size;
    case OID: return is_oid(text);
    case UUID: return is_uuid(text, 1);
    default: return 0;
    }
}

/* RFC 5646 without its registry: a language, then subtags. */
static int is_language(Text text) {
    size_t i = 0;
    while (i < text.size && is_letter(text.at[i])) i++;
    if (i == 1 ? strchr("xXiI", text.at[0]) == NULL : i < 2 || i > 8) return 0;
    while (i < text.size) {
        if (text.at[i] != '-' && text.at[i] != '_') return 0;
        size_t start = ++i;
        while (i < text.size && (is_letter(text.at[i]) || is_digit(text.at[i]))) i++;
        if (i == start || i - start > 8) return 0;
    }
    return 1;
}

static size_t restricted_name(Text text, int may_be_wild) {
    size_t i = 0;
    while (i < text.size &&
           (is_letter(text.at[i]) || is_digit(text.at[i]) ||
            (i > 0 && text.at[i] != 0 && strchr("!#$&^_.+-", text.at[i]) != NULL) ||
            (may_be_wild && text.at[i] == '*')))
        i++;
    return i <= 127 ? i : 0;
}

/* RFC 6838: type, subtype and parameters, whose values stay unchecked; or a bare name. */
static int is_mime(Text text) {
    size_t length = restricted_name(text, 0);
    if (length == 0) return 0;
    text = from(text, length);
    if (text.size > 0 && text.at[0] == '/') {
        text = from(text, 1);
        length = restricted_name(text, 1);
        if (length == 0) return 0;
        text = from(text, length);
    }
    if (text.size == 0) return 1;
    if (text.at[0] == ' ') text = from(text, 1);
    if (text.size == 0 || text.at[0] != ';') return 0;
    for (size_t i = 1; i < text.size; i++) {
        uint8_t c = text.at[i];
        if (c == ' ' ? i + 1 == text.size || text.at[i + 1] == ' ' : c < '!' || c > '~') return 0;
    }
    return 1;
}

int has_syntax(enum Syntax syntax, Text text) {
    switch (syntax) {
    case ANY_SYNTAX: return 1;
    case LANGUAGE: return is_language(text);
    case MIME: return is_mime(text);
    case CURRENCY:
        for (size_t i = 0; i < text.size; i++)
            if (text.at[i] < 'A' || text.at[i] > 'Z') return 0;
        return text.size == 3;
    case UCUM:
        for (size_t i = 0; i < text.size; i++)
            if (text.at[i] < '!' || text.at[i] > '~') return 0;
        return text.size > 0;
    case SYNTAX_COUNT: break;
    }
    return 0;
}

int is_integer_in(enum Form form, Text text) {
    int negative = text.at[0] == '-';
    size_t i = negative ? 1 : 0;
    if (text.size - i > 10) return 0;
    int64_t value = 0;
    for (; i < text.size; i++) value = value * 10 + (text.at[i] - '0');
    if (negative) value = -value;
    int64_t least = form == INTEGER ? INT32_MIN : form == POSITIVE_INT ? 1 : 0;
    return value >= least && value <= INT32_MAX;
}

int is_absolute_url(Text text) {
    if (text.size == 0 || !is_letter(text.at[0]) || !is_uri(text)) return 0;
    for (size_t i = 1; i < text.size; i++) {
        if (text.at[i] == '/') return 0;
        if (text.at[i] == ':') return i + 1 < text.size;
    }
    return 0;
}

int is_computable_name(Text text) {
    if (text.size == 0 || text.size > 255 || text.at[0] < 'A' || text.at[0] > 'Z') return 0;
    for (size_t i = 1; i < text.size; i++)
        if (!is_letter(text.at[i]) && !is_digit(text.at[i]) && text.at[i] != '_') return 0;
    return 1;
}

int is_number_above(Text number, int or_zero) {
    int is_zero = 1;
    for (size_t i = 0; i < number.size; i++)
        if (number.at[i] >= '1' && number.at[i] <= '9') is_zero = 0;
    if (is_zero) return or_zero;
    return number.at[0] != '-';
}

/* Days since 1 March of year 0 in the Gregorian calendar. */
static int64_t day_number(Text text) {
    int64_t year = digits(text.at, 4), month = digits(text.at + 5, 2), day = digits(text.at + 8, 2);
    if (month <= 2) {
        year--;
        month += 12;
    }
    return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 - 457) / 5 + day;
}

/* Seconds of a valid date and time, with its fraction and without its zone's offset. */
static int64_t seconds_of(Text text, Text *fraction) {
    const uint8_t *time = text.at + 11;
    int64_t seconds = day_number(text) * 86400 + digits(time, 2) * 3600 + digits(time + 3, 2) * 60 +
                      digits(time + 6, 2);
    size_t zone = text.at[text.size - 1] == 'Z' ? 1 : 6;
    *fraction = from(text, 19);
    fraction->size -= zone;
    if (zone == 6) {
        const uint8_t *offset = text.at + text.size - 6;
        int64_t east = digits(offset + 1, 2) * 3600 + digits(offset + 4, 2) * 60;
        seconds += offset[0] == '-' ? east : -east;
    }
    return seconds;
}

/* Whether two valid dates or times are certainly in order. */
int dates_in_order(Text start, Text end) {
    if (start.size <= 10 || end.size <= 10) /* of different precision: FHIRPath can't decide */
        return start.size == end.size && memcmp(start.at, end.at, start.size) <= 0;
    Text start_fraction, end_fraction;
    int64_t first = seconds_of(start, &start_fraction), second = seconds_of(end, &end_fraction);
    if (first != second) return first < second;
    return start_fraction.size == end_fraction.size &&
           memcmp(start_fraction.at, end_fraction.at, start_fraction.size) <= 0;
}
