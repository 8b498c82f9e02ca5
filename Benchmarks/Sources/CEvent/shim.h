// SPDX-License-Identifier: Apache-2.0
// Links libevent_core to the C peer; the peer includes libevent's headers itself.
