// SPDX-License-Identifier: Apache-2.0
//
// The part of libevent that AsyncIO uses: event bases and events of libevent_core.
// Nothing of evbuffer, bufferevent, evdns or evhttp is visible through this module.

#ifndef CLIBEVENT_SHIM_H
#define CLIBEVENT_SHIM_H

// Before libevent's headers, which ask glibc for other definitions of its structures than Swift's other modules see.
#include <sys/select.h>

#include <event2/event.h>

#endif
