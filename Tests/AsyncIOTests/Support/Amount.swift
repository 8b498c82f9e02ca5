// SPDX-License-Identifier: Apache-2.0
//
// How much is enough: tests of large numbers prove the same with smaller ones, as long as those are large.

import Glibc

enum Amount {
  /// A large number: all of it where the environment asks for all seeds; a part of it otherwise, a larger one in builds
  /// that are optimized.
  static func of(_ full: Int, optimized: Int? = nil, usually part: Int) -> Int {
    // SAFETY: getenv returns null or a C string that lives while nobody changes the environment.
    if unsafe getenv("ASYNCIO_SEEDS").map({ unsafe String(cString: $0) }) == "all" { return full }
    #if DEBUG
      return part
    #else
      return optimized ?? full
    #endif
  }
}
