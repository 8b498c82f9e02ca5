// SPDX-License-Identifier: Apache-2.0
//
// What tests of the loop share: its configurations.

@testable import AsyncIO

extension EventLoop.Configuration {
  /// A loop on a virtual clock.
  static func virtual(_ clock: VirtualClock = VirtualClock()) -> Self {
    var configuration = Self()
    configuration.seams.clock = clock
    return configuration
  }

  /// A loop whose entries of a batch run in the order of a seed.
  static func shuffled(_ seed: UInt64) -> Self {
    var configuration = Self.virtual()
    configuration.seams.batchOrder = .seeded(seed)
    return configuration
  }

  /// A loop on a backend of the test's.
  static func on(_ backend: any Backend) -> Self {
    Self().with(backend: backend)
  }

  func with(debug: Bool) -> Self {
    var configuration = self
    configuration.debug = debug
    return configuration
  }

  func with(backend: any Backend) -> Self {
    var configuration = self
    unsafe configuration.seams.backend = backend
    return configuration
  }

  func with(log: RecordingLog) -> Self {
    var configuration = self
    configuration.logger = log.logger
    return configuration
  }
}

/// Says when it goes.
final class Sentinel {
  private let atEnd: () -> Void

  init(atEnd: @escaping () -> Void) { self.atEnd = atEnd }

  deinit { atEnd() }
}

struct Oops: Error, Equatable {
  var number = 0
}
