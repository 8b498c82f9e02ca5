// SPDX-License-Identifier: Apache-2.0
//
// A backend that says how it is used.

import AsyncIO
import SystemPackage

/// The real backend, with counts of its watches and waits that any thread may read.
final class CountingBackend: Backend {
  private let backend: LibEventBackend
  let watches = Shared(0)
  let waits = Shared(0)

  init() throws {
    backend = try LibEventBackend(precise: false)
  }

  func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    let watch = try backend.watch(descriptor, for: readiness, notice: notice)
    watches.change { $0 += 1 }
    return CountedWatch(watch) { [watches] in watches.change { $0 -= 1 } }
  }

  func wait(_ limit: WaitLimit) {
    waits.change { $0 += 1 }
    backend.wait(limit)
  }
}

private final class CountedWatch: Watch {
  private var watch: (any Watch)?
  private let atEnd: () -> Void

  init(_ watch: any Watch, atEnd: @escaping () -> Void) {
    self.watch = watch
    self.atEnd = atEnd
  }

  func end() {
    guard let ended = watch else { return }
    watch = nil
    ended.end()
    atEnd()
  }

  deinit { end() }
}
