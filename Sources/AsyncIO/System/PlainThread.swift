// SPDX-License-Identifier: Apache-2.0
//
// Threads of the library's own.

import CLinux
import Glibc
import SwiftOverlayShims
import SystemPackage

package enum PlainThread {
  /// Starts a thread that nobody waits for.
  ///
  /// - Parameters:
  ///   - name: For debuggers; Linux keeps 15 bytes of it.
  ///   - takesSignals: Whether it inherits what the calling thread does about signals, or leaves all of them to the
  ///     threads that were there.
  ///   - body: What it does; it ends with it.
  /// - Throws: `EAGAIN` when the process or the system has no threads left.
  package static func start(
    name: String, takesSignals: Bool = false, _ body: @escaping @Sendable () -> Void
  ) throws(SystemError) {
    var all = sigset_t()
    var old = sigset_t()
    unsafe sigfillset(&all)
    // A thread begins with its maker's mask.
    if !takesSignals { unsafe pthread_sigmask(SIG_SETMASK, &all, &old) }
    defer { if !takesSignals { unsafe pthread_sigmask(SIG_SETMASK, &old, nil) } }
    var id = pthread_t()
    let context = unsafe Unmanaged.passRetained(StartContext(name, body)).toOpaque()
    // SAFETY: the context was retained for the new thread, which takes it over; if there is none, it is released here.
    let errno = unsafe pthread_create(
      &id, nil,
      { context in
        guard let context = unsafe context else { return nil }
        unsafe Unmanaged<StartContext>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context)
    guard errno == 0 else {
      _ = unsafe Unmanaged<StartContext>.fromOpaque(context).takeRetainedValue()
      throw SystemError(Errno(rawValue: errno), in: "pthread_create")
    }
    pthread_detach(id)
  }
}

/// What a new thread starts with.
private final class StartContext: Sendable {
  private let name: String
  private let body: @Sendable () -> Void

  init(_ name: String, _ body: @escaping @Sendable () -> Void) {
    self.name = name
    self.body = body
  }

  func run() {
    // SAFETY: the name is copied by the call, up to 15 bytes.
    _ = unsafe clinux_set_thread_name(name)
    body()
  }
}
