/* SPDX-License-Identifier: Apache-2.0 */
/* A library that exists in two versions. */
int ticker_state = TICKER_VERSION * 100;

int ticker_next(void);

int ticker_next(void) { return ++ticker_state; }
