// SPDX-License-Identifier: Apache-2.0
//
// Loops whose sockets are in memory.

import AsyncIOTesting

extension TestLoop.Configuration {
  /// A loop whose sockets are in memory.
  static func network(_ change: (inout TestLoop.Configuration) -> Void = { _ in }) -> TestLoop.Configuration {
    var configuration = TestLoop.Configuration()
    configuration.network = TestLoop.Network()
    change(&configuration)
    return configuration
  }
}
