// SPDX-License-Identifier: Apache-2.0
//
// Waiting for a descriptor.

public import SystemPackage

extension EventLoop {
  /// Waits until a descriptor is readable: data, the end of the stream, a hang-up or an error.
  ///
  /// It stands beside the callbacks of ``addReader(_:fileID:line:_:)``, and beside other waits: all are told. The
  /// descriptor stays the caller's; before it is closed during a wait, ``descriptorWillClose(_:)`` has to end that.
  ///
  /// - Parameters:
  ///   - descriptor: An open one.
  ///   - timeout: How long; `nil` for as long as it takes.
  /// - Cancellation: Ends the watch, and throws `CancellationError`. No data is lost, since none is read.
  /// - Throws: As ``addReader(_:fileID:line:_:)``; ``DescriptorClosedError`` after ``descriptorWillClose(_:)``;
  ///   ``TimeoutError``.
  public func waitReadable(_ descriptor: FileDescriptor, timeout: Duration? = nil) async throws {
    try await wait(for: descriptor, .readable, timeout)
  }

  /// Waits until a descriptor has room to write, a hang-up or an error; as ``waitReadable(_:timeout:)`` in all else.
  public func waitWritable(_ descriptor: FileDescriptor, timeout: Duration? = nil) async throws {
    try await wait(for: descriptor, .writable, timeout)
  }

  private func wait(for descriptor: FileDescriptor, _ readiness: Readiness, _ timeout: Duration?) async throws {
    let deadline = timeout.map { timeSource.now.advanced(by: $0) }
    try requireNonBlocking(descriptor)
    let wait = ReadinessWait(descriptor, readiness, isOwned: false, on: self)
    note(wait, in: descriptor)
    defer {
      forget(wait, in: descriptor)
      wait.end()
    }
    try await wait.untilReady(by: deadline)
  }
}
