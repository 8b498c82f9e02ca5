// SPDX-License-Identifier: Apache-2.0
//
// The one error for a system call that failed.

public import SystemPackage

/// A call into the operating system that failed: which call, and the `errno` that it left.
///
/// ```swift
/// do {
///   try loop.addReader(descriptor) { … }
/// } catch let error as SystemError where error.errno == .badFileDescriptor {
///   …
/// }
/// ```
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The error number of the call.
  public let errno: Errno

  /// The name of the call, as its manual page has it: `epoll_ctl`, `accept4`, …
  public let call: String

  /// Creates an error for a call and the number that it left.
  public init(_ errno: Errno, in call: String) {
    self.errno = errno
    self.call = call
  }

  /// The call and the system's own words: `accept4: Too many open files (EMFILE)`.
  public var description: String { "\(call): \(errno)" }
}
