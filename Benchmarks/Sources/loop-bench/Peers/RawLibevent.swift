// SPDX-License-Identifier: Apache-2.0
//
// libevent in C, with nothing in between.

import CRawLibevent

extension Contender {
  static let rawLibevent = Contender(
    name: "libevent",
    work: .here([
      "soon-batch": { Reading($0, raw_soon_batch(UInt64($0))) },
      "soon-chain": { Reading($0, raw_soon_chain(UInt64($0))) },
      "threadsafe": { Reading($0, raw_threadsafe(UInt64($0))) },
      "timers-fire": { Reading($0, raw_timers_fire(UInt64($0))) },
      "timers-cancel-fifo": { Reading($0, raw_timers_cancel(UInt64($0), nil)) },
      "timers-cancel-rand": { Reading($0, raw_timers_cancel(UInt64($0), permutation($0))) },
      "timers-churn": { Reading($0, raw_timers_churn(UInt64($0))) },
    ]))

  /// C without any loop.
  static let posixSpawn = Contender(
    name: "posix_spawn", work: .here(["spawn": { Reading($0, raw_spawn(UInt64($0))) }]), isPart: true)
}
