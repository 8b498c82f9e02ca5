// SPDX-License-Identifier: Apache-2.0
//
// A loop that has the main thread serves the main queue, and with it Swift's main actor.

import CLinux
import Dispatch
import Synchronization
package import SystemPackage

extension EventLoop {
  private static let knownMainQueueDescriptor = Atomic<Int32>(-1)

  /// What becomes readable for the main queue; `nil` while no loop has served it.
  package static var mainQueueDescriptor: FileDescriptor? {
    let number = knownMainQueueDescriptor.load(ordering: .relaxed)
    return number < 0 ? nil : FileDescriptor(rawValue: number)
  }

  /// Watches the main queue while the loop runs on the main thread.
  ///
  /// Without this, a program whose main thread is the loop's would hang at its first hop to the main actor. Each notice
  /// runs what the queue holds, as one entry of the FIFO.
  func watchMainQueue(isMainThread: Bool) {
    guard isMainThread else { return }
    // A read of `DispatchQueue.main` makes sure that libdispatch, and its main queue, are set up.
    _ = DispatchQueue.main
    // SAFETY: on the main thread, as both calls ask for.
    let descriptor = FileDescriptor(rawValue: _dispatch_get_main_queue_port_4CF())
    Self.knownMainQueueDescriptor.store(descriptor.rawValue, ordering: .relaxed)
    mainQueueWatch = try? watch(descriptor, .readable) {
      // libdispatch rings the eventfd, and leaves it to the run loop to take the rings back.
      WakeUpDescriptor.drain(descriptor.rawValue)
      _dispatch_main_queue_callback_4CF(nil)
    }
  }
}
