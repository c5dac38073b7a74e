/* Strict reading of text from outside, and making it safe to show.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads one character of at most SIZE bytes (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
 * Returns how many bytes it has, 0 where there is none. */
size_t text_decode(const char *text, size_t size, uint32_t *code);
/* C0, DEL and C1. */
bool text_is_control(uint32_t code);
bool text_is_utf8(const char *text, size_t size);
/* Nothing but spaces of whichever width, and some of them. */
bool text_is_blank(const char *text);

/* Whole TEXT as a decimal number in [LOW, HIGH]: digits with at most a leading '-'; no spaces, no '+'. */
bool text_parse_int64(const char *text, int64_t low, int64_t high, int64_t *out);

/* yes/no, true/false, on/off, 1/0, in any case. */
bool text_parse_bool(const char *text, bool *out);

/* Copies TEXT into OUT (SIZE bytes, always terminated) so that it cannot steer a terminal, break a log line or look
 * like another text: control characters, C1 and broken UTF-8 become '?', a character that is not seen or reorders
 * the line "<U+200B>".  Cut at a character's boundary with "..." where it is too long. */
void text_sanitise(const char *text, char *out, size_t size);

/* Takes a name and a password out of each URL in TEXT, in place: what stands between the scheme and the last '@'
 * becomes one '*'. */
void text_hide_logins(char *text);

/* text_sanitise() for what a library, a program or a server says, with text_hide_logins().  Without memory it is "". */
void text_sanitise_message(const char *text, char *out, size_t size);

/* "14:02:11" today, "2026-11-23 14:02:11" otherwise, local time, of EPOCH_SECONDS, judged from NOW_SECONDS. */
void text_local_time(int64_t epoch_seconds, int64_t now_seconds, char *out, size_t size);
/* "2h 5m", "59s": at most two units. */
void text_duration(int64_t seconds, char *out, size_t size);

#endif
