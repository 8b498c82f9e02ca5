// SPDX-License-Identifier: Apache-2.0
//
// What a test left behind.

/// Something is there at the end of a test that was not there at its start.
public struct LeakError: Error, Sendable, CustomStringConvertible {
  /// What can be left.
  public enum Kind: String, Sendable, Hashable {
    /// A task that has not ended.
    case task
    /// A timer that is armed.
    case timer
    /// The watch of a descriptor, or the handler of a signal.
    case watch
    /// An open descriptor.
    case descriptor
    /// A thread.
    case thread
    /// A child process.
    case child
    /// A connection, or a stream over a pipe, that was not closed.
    case connection
    /// A server that listens.
    case server
    /// An endpoint of datagrams that was not closed.
    case endpoint
  }

  /// One thing that was left.
  public struct Leak: Sendable, Hashable, CustomStringConvertible {
    /// What kind of thing it is.
    public let kind: Kind
    /// Which one, in words.
    public let subject: String
    /// Where it was made, as far as the loop knows: `Module/File.swift:12`.
    public let creationSite: String?

    init(_ kind: Kind, _ subject: String, at creationSite: String?) {
      self.kind = kind
      self.subject = subject
      self.creationSite = creationSite
    }

    /// All of it in a line.
    public var description: String { subject + (creationSite.map { " (made at \($0))" } ?? "") }
  }

  /// What was left.
  public let leaks: [Leak]

  init(_ leaks: [Leak]) {
    self.leaks = leaks
  }

  /// The fact, and a line for each.
  public var description: String { "the test left behind:" + leaks.map { "\n  \($0)" }.joined() }
}
