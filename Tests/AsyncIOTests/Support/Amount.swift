// SPDX-License-Identifier: Apache-2.0
//
// How much is enough: tests of large numbers prove the same with smaller ones, as long as those are large.

import Glibc

enum Amount {
  /// A large number: all of it in builds that are optimized, and where the environment asks for all seeds; a part of it
  /// otherwise.
  static func of(_ full: Int, usually part: Int) -> Int {
    #if DEBUG
      // SAFETY: getenv returns null or a C string that lives while nobody changes the environment.
      let isAll = unsafe getenv("ASYNCIO_SEEDS").map { unsafe String(cString: $0) } == "all"
      return isAll ? full : part
    #else
      return full
    #endif
  }
}
