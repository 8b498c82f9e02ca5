// SPDX-License-Identifier: Apache-2.0
//
// A backend that says how it is used.

import AsyncIO
import SystemPackage

/// The real backend, with a count of its watches and waits.
final class CountingBackend: Backend, @unchecked Sendable {
  private let backend: any Backend
  private(set) var watches = 0
  private(set) var waits: [WaitLimit] = []

  init(_ backend: any Backend) {
    self.backend = backend
  }

  func watch(
    _ descriptor: FileDescriptor, for readiness: Readiness, notice: @escaping () -> Void
  ) throws(SystemError) -> any Watch {
    let watch = try backend.watch(descriptor, for: readiness, notice: notice)
    watches += 1
    return CountedWatch(watch) { self.watches -= 1 }
  }

  func wait(_ limit: WaitLimit) {
    waits.append(limit)
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
