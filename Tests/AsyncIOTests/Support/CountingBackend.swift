// SPDX-License-Identifier: Apache-2.0
//
// A backend that says how it is used.

import AsyncIO
import SystemPackage

/// What a backend was asked for; any thread may read it.
struct Counts: Sendable {
  let watches = Shared(0)
  let waits = Shared(0)
  let pauses = Shared(0)
}

/// The real backend, which counts.
final class CountingBackend: Backend {
  private let backend: LibEventBackend
  let counts = Counts()

  init() throws {
    backend = try LibEventBackend(precise: false)
  }

  func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, isOwned: Bool, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    let watch = try backend.watch(descriptor, for: readiness, isOwned: isOwned, notice: notice)
    counts.watches.change { $0 += 1 }
    return CountedWatch(watch, counts)
  }

  func wait(_ limit: WaitLimit) {
    counts.waits.change { $0 += 1 }
    backend.wait(limit)
  }
}

private final class CountedWatch: Watch {
  private var watch: (any Watch)?
  private let counts: Counts

  init(_ watch: any Watch, _ counts: Counts) {
    self.watch = watch
    self.counts = counts
  }

  func pause() {
    counts.pauses.change { $0 += 1 }
    watch?.pause()
  }

  func resume() throws(SystemError) { try watch?.resume() }

  func end() {
    guard let ended = watch else { return }
    watch = nil
    ended.end()
    counts.watches.change { $0 -= 1 }
  }

  deinit { end() }
}
