// SPDX-License-Identifier: Apache-2.0
//
// This process's end of a pipe to or from a child, until a stream takes it.

import SystemPackage

/// The end of a pipe.
///
/// A wait for it exists only while somebody reads or writes: so an end that nobody uses costs the loop nothing, and may
/// be let go of on any thread.
///
/// Invariant: `wait` has ended before the descriptor is closed. All of it belongs to the thread that holds the loop.
final class ChildPipe {
  private var owned: OwnedSocket?
  private var wait: ReadinessWait?
  private let calls: any SystemCalls

  init(_ owned: consuming OwnedSocket) {
    calls = owned.calls
    self.owned = consume owned
  }

  var isOpen: Bool {
    switch owned {
    case .some: true
    case .none: false
    }
  }

  /// Closes the end. Who reads or writes gets ``DescriptorClosedError``.
  func close() {
    wait?.end()
    wait = nil
    owned = nil
  }

  /// Hands the end over, unless somebody reads or writes.
  func take() -> OwnedSocket? { wait == nil ? owned.take() : nil }

  /// After so many system calls the others on the loop have their turn.
  private static let callsBetweenTurns = 16

  /// The most bytes of one call: what a pipe holds, unless somebody made it larger.
  private static let blockSize = 65_536

  // MARK: Reading

  /// Reads to the end, and closes this end then. What was read is in `bytes` also after an error.
  func read(on loop: EventLoop, _ use: (UnsafeRawBufferPointer) throws -> Void) async throws {
    let wait = try beginWaiting(.readable, on: loop)
    defer { endWaiting() }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.blockSize, alignment: 1)
    defer { unsafe buffer.deallocate() }
    var count = 0
    while isOpen {
      guard let length = try unsafe readOnce(into: buffer) else {
        try await wait.untilReady()
        continue
      }
      if length == 0 { return close() }
      unsafe try use(UnsafeRawBufferPointer(rebasing: buffer[..<length]))
      count += 1
      if count % Self.callsBetweenTurns == 0 { try await loop.sleep(for: .zero) }
    }
    throw DescriptorClosedError()
  }

  /// - Returns: `nil` when there is nothing, and 0 at the end.
  private func readOnce(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int? {
    guard let descriptor else { return 0 }
    do throws(Errno) {
      return try unsafe calls.read(descriptor.rawValue, into: buffer)
    } catch {
      if error.isWouldBlock { return nil }
      throw SystemError(error, in: "read")
    }
  }

  // MARK: Writing

  /// Writes all of it, and closes this end then.
  ///
  /// - Parameters:
  ///   - bytes: What is written.
  ///   - position: Where it begins; what has been written is before it, also after an error.
  /// - Throws: ``SystemError`` with `EPIPE` when the child reads no more.
  func write(_ bytes: [UInt8], from position: inout Int, on loop: EventLoop) async throws {
    let wait = try beginWaiting(.writable, on: loop)
    defer { endWaiting() }
    var count = 0
    while isOpen {
      if position >= bytes.count { return close() }
      guard let length = try writeOnce(bytes, from: position) else {
        try await wait.untilReady()
        continue
      }
      position += length
      count += 1
      if count % Self.callsBetweenTurns == 0 { try await loop.sleep(for: .zero) }
    }
    throw DescriptorClosedError()
  }

  private func writeOnce(_ bytes: [UInt8], from position: Int) throws(SystemError) -> Int? {
    guard let descriptor else { return nil }
    let end = min(bytes.count, position + Self.blockSize)
    do throws(Errno) {
      // SAFETY: the bytes are the array's for the length of the call.
      return try unsafe bytes.span.withUnsafeBytes { (buffer) throws(Errno) in
        try unsafe calls.write(descriptor.rawValue, UnsafeRawBufferPointer(rebasing: buffer[position..<end]))
      }
    } catch {
      if error.isWouldBlock { return nil }
      throw SystemError(error, in: "write")
    }
  }

  // MARK: Waiting

  private var descriptor: FileDescriptor? {
    switch owned {
    case .some(let owned): owned.descriptor
    case .none: nil
    }
  }

  private func beginWaiting(_ readiness: Readiness, on loop: EventLoop) throws -> ReadinessWait {
    guard let descriptor else { throw DescriptorClosedError() }
    precondition(wait == nil, "ChildProcess.communicate: it is under way already; await that one first")
    let new = ReadinessWait(descriptor, readiness, isOwned: true, on: loop)
    wait = new
    return new
  }

  private func endWaiting() {
    wait?.end()
    wait = nil
  }

  deinit { wait?.end() }
}
