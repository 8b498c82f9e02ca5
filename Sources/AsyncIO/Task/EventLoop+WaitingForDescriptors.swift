// SPDX-License-Identifier: Apache-2.0
//
// Waiting for a descriptor.

public import SystemPackage

extension EventLoop {
  /// Waits until a descriptor is readable: data, the end of the stream, a hang-up or an error.
  ///
  /// It stands beside the callbacks of ``addReader(_:_:)``, and beside other waits: all are told. The descriptor stays
  /// the caller's, who does not close it during the wait.
  ///
  /// - Cancellation: Ends the watch, and throws `CancellationError`. No data is lost, since none is read.
  /// - Throws: As ``addReader(_:_:)``.
  public func waitReadable(_ descriptor: FileDescriptor) async throws {
    try await wait(for: descriptor, .readable)
  }

  /// Waits until a descriptor has room to write, a hang-up or an error; as ``waitReadable(_:)`` in all else.
  public func waitWritable(_ descriptor: FileDescriptor) async throws {
    try await wait(for: descriptor, .writable)
  }

  private func wait(for descriptor: FileDescriptor, _ readiness: Readiness) async throws {
    let future = createFuture(of: Void.self)
    let watch = try watch(descriptor, readiness) { future.end(with: ()) }
    defer { watch.end() }
    try await future.value
  }
}
