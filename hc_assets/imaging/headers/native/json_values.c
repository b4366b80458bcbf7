/* Writes the values of data elements as JSON, byte for byte as imaging/headers/dicom_json.py and msgspec do.
 *
 * Belongs here: what one value looks like. Each function writes to `out`, where there must be room,
 * and returns the end; NULL where the value is so odd that Python has to look at it.
 */
#include "json_values.h"

#include <stdio.h>
#include <stdlib.h>

const char VR_NAMES[VRS][3] = {
    "", "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF",
    "OL", "OV", "OW", "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR",
    "US", "UT", "UV", ""};

static char *put_unsigned(char *out, uint64_t value) {
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + value % 10); while (value /= 10);
    while (count) *out++ = digits[--count];
    return out;
}

static char *put_signed(char *out, int64_t value) {
    if (value >= 0) return put_unsigned(out, (uint64_t)value);
    *out++ = '-';
    return put_unsigned(out, 0 - (uint64_t)value);
}

char *put_hex(char *out, uint32_t value, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        *out++ = "0123456789ABCDEF"[value >> shift & 15];
    return out;
}

/* Writes 0.DIGITS times 10 to the `point` as msgspec writes a float. */
static char *put_digits(char *out, int negative, const char *digits, int count, int point) {
    if (negative) *out++ = '-';
    if (count == 0) return PUT(out, "0.0");
    if (point >= count && point <= 16) {
        out = put(out, digits, (size_t)count);
        for (int zeros = point - count; zeros; zeros--) *out++ = '0';
        return PUT(out, ".0");
    }
    if (point > 0 && point <= 16) {
        out = put(out, digits, (size_t)point);
        *out++ = '.';
        return put(out, digits + point, (size_t)(count - point));
    }
    if (point > -5 && point <= 0) {
        out = PUT(out, "0.");
        for (int zeros = -point; zeros; zeros--) *out++ = '0';
        return put(out, digits, (size_t)count);
    }
    *out++ = digits[0];
    if (count > 1) {
        *out++ = '.';
        out = put(out, digits + 1, (size_t)(count - 1));
    }
    *out++ = 'e';
    return put_signed(out, point - 1);
}

/* Writes the shortest digits that give the same double; NULL where it is not normal. */
static char *put_double(char *out, double value) {
    uint64_t bits;
    char text[40], digits[20];
    memcpy(&bits, &value, 8);
    /* Subnormal numbers have fewer digits than the search below begins with */
    if ((bits >> 52 & 2047) == 2047 || ((bits >> 52 & 2047) == 0 && bits << 1)) return NULL;
    int negative = (int)(bits >> 63);
    if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value) {
        int64_t whole = (int64_t)value;
        if (negative) *out++ = '-';
        out = put_unsigned(out, (uint64_t)(whole < 0 ? -whole : whole));
        return PUT(out, ".0");
    }
    for (int precision = 15;; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (precision == 17 || strtod(text, NULL) == value) break;
        /* Doubles lie closer below a power of two than above it, so that the nearest digits need
         * not be the ones that give it back */
        if ((bits & 0xFFFFFFFFFFFFFu) == 0) return NULL;
    }
    char *e = strchr(text, 'e');
    int count = 0;
    /* Whatever stands between the digits is the decimal point of the locale */
    for (char *c = text; c < e; c++)
        if (*c >= '0' && *c <= '9' && count < 17) digits[count++] = *c;
    while (count && digits[count - 1] == '0') count--;
    return put_digits(out, negative, digits, count, atoi(e + 1) + 1);
}

/* Writes a decimal string as the float that it names; NULL where Python had better look. */
static char *put_decimal(char *out, const char *text, const char *end) {
    char digits[16], copy[40];
    const char *start = text;
    int negative = 0, count = 0, point = 0, seen = 0, after = 0, exponent = 0, total = 0;
    if (text < end && (*text == '+' || *text == '-')) negative = *text++ == '-';
    for (; text < end; text++) {
        if (*text >= '0' && *text <= '9') {
            seen = 1;
            if (total || *text != '0') {
                if (total < 15) digits[count++] = *text;
                total++;
                if (!after) point++;
            } else if (after) {
                point--;
            }
        } else if (*text == '.' && !after) {
            after = 1;
        } else {
            break;
        }
    }
    if (!seen) return NULL;
    if (text < end && (*text == 'e' || *text == 'E')) {
        int minus = 0, some = 0;
        if (++text < end && (*text == '+' || *text == '-')) minus = *text++ == '-';
        for (; text < end && *text >= '0' && *text <= '9' && exponent < 1000; text++, some = 1)
            exponent = exponent * 10 + (*text - '0');
        if (!some) return NULL;
        if (minus) exponent = -exponent;
    }
    if (text != end || exponent > 250 || exponent < -250) return NULL;
    if (total > 15) {
        size_t size = (size_t)(end - start);
        char *rest;
        if (size >= sizeof copy) return NULL;
        memcpy(copy, start, size);
        copy[size] = 0;
        double value = strtod(copy, &rest);
        return rest == copy + size ? put_double(out, value) : NULL;
    }
    /* Up to 15 digits come back from a double as they went in */
    while (count && digits[count - 1] == '0') count--;
    return put_digits(out, negative, digits, count, count ? point + exponent : 0);
}

static char *put_integer(char *out, const char *text, const char *end) {
    int negative = 0;
    if (text < end && (*text == '+' || *text == '-')) negative = *text++ == '-';
    if (text == end || end - text > 15) return NULL;
    int64_t value = 0;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9') return NULL;
        value = value * 10 + (*text - '0');
    }
    return put_signed(out, negative ? -value : value);
}

/* Writes a quoted string; NULL where a character is not plain ASCII. */
static char *put_string(char *out, const char *text, const char *end) {
    *out++ = '"';
    for (; text < end; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            *out++ = '\\';
            *out++ = (char)c;
        } else if (c >= 0x20 && c < 0x7F) {
            *out++ = (char)c;
        } else if (c == '\r' || c == '\n' || c == '\t') {
            *out++ = '\\';
            *out++ = c == '\r' ? 'r' : c == '\n' ? 'n' : 't';
        } else {
            return NULL;
        }
    }
    *out++ = '"';
    return out;
}

static char *put_name(char *out, const char *text, const char *end) {
    static const char *const groups[3] = {"\"Alphabetic\":", "\"Ideographic\":", "\"Phonetic\":"};
    char *start = out;
    *out++ = '{';
    for (int group = 0; group < 3; group++) {
        const char *stop = memchr(text, '=', (size_t)(end - text));
        if (!stop) stop = end;
        if (stop > text) {
            if (out > start + 1) *out++ = ',';
            out = put(out, groups[group], strlen(groups[group]));
            if (!(out = put_string(out, text, stop))) return NULL;
        }
        if (stop == end) break;
        text = stop + 1;
    }
    if (out == start + 1) return PUT(start, "null");
    *out++ = '}';
    return out;
}

char *put_text(char *out, enum vr vr, const char *text, uint32_t length) {
    const char *end = text + length;
    while (end > text && is_pad(end[-1])) end--;
    if (end == text) return PUT(out, "}");
    out = PUT(out, ",\"Value\":[");
    if (vr == LT || vr == ST || vr == UT || vr == UR) {
        if (!(out = put_string(out, text, end))) return NULL;
        return PUT(out, "]}");
    }
    for (;;) {
        const char *stop = memchr(text, '\\', (size_t)(end - text));
        const char *next = stop ? stop : end;
        const char *first = text, *last = next;
        while (first < last && is_pad(*first)) first++;
        while (last > first && is_pad(last[-1])) last--;
        if (vr == PN) out = put_name(out, first, last);
        else if (first == last) out = PUT(out, "null");
        else if (vr == DS) out = put_decimal(out, first, last);
        else if (vr == IS) out = put_integer(out, first, last);
        else out = put_string(out, first, last);
        if (!out) return NULL;
        if (!stop) return PUT(out, "]}");
        *out++ = ',';
        text = stop + 1;
    }
}

char *put_numbers(char *out, enum vr vr, const uint8_t *data, uint32_t length, int big) {
    uint32_t size = vr == US || vr == SS ? 2 : vr == FD || vr == UV || vr == SV ? 8 : 4;
    if (length % size) return NULL;
    out = PUT(out, ",\"Value\":[");
    for (const uint8_t *end = data + length; data < end; data += size) {
        float narrow;
        double wide;
        uint64_t bits;
        switch (vr) {
        case US: out = put_unsigned(out, u16(data, big)); break;
        case SS: out = put_signed(out, (int16_t)u16(data, big)); break;
        case UL: out = put_unsigned(out, u32(data, big)); break;
        case SL: out = put_signed(out, (int32_t)u32(data, big)); break;
        case UV: out = put_unsigned(out, u64(data, big)); break;
        case SV: out = put_signed(out, (int64_t)u64(data, big)); break;
        case AT:
            *out++ = '"';
            out = put_hex(out, tag_at(data, big), 8);
            *out++ = '"';
            break;
        case FL: {
            uint32_t low = u32(data, big);
            memcpy(&narrow, &low, 4);
            out = put_double(out, narrow);
            break;
        }
        default:
            bits = u64(data, big);
            memcpy(&wide, &bits, 8);
            out = put_double(out, wide);
        }
        if (!out) return NULL;
        *out++ = ',';
    }
    return PUT(out - 1, "]}");
}

char *put_base64(char *out, const uint8_t *data, uint32_t length) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out = PUT(out, ",\"InlineBinary\":\"");
    for (uint32_t i = 0; i < length; i += 3) {
        uint32_t left = length - i;
        uint32_t bits = (uint32_t)data[i] << 16;
        if (left > 1) bits |= (uint32_t)data[i + 1] << 8;
        if (left > 2) bits |= data[i + 2];
        *out++ = letters[bits >> 18];
        *out++ = letters[bits >> 12 & 63];
        *out++ = left > 1 ? letters[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? letters[bits & 63] : '=';
    }
    return PUT(out, "\"}");
}
