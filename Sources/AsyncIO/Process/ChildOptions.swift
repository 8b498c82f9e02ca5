// SPDX-License-Identifier: Apache-2.0
//
// What can be said about a child before it starts.

public import SystemPackage

extension ChildProcess {
  /// Where a child's standard input comes from.
  public enum Input: Sendable, Hashable {
    /// From where this process has its own.
    case inherit
    /// From nowhere: it is at its end.
    case null
    /// From this process.
    case pipe
    /// From a file, which is opened here, for reading. (Of a named pipe that nobody writes to, the opening waits.)
    case file(FilePath)
    /// From an open descriptor, which stays the caller's.
    case descriptor(FileDescriptor)
  }

  /// Where a child's standard output goes.
  public enum Output: Sendable, Hashable {
    /// To where this process has its own.
    case inherit
    /// To nowhere.
    case null
    /// To this process.
    case pipe
    /// To a file, which is created, or emptied, here.
    case file(FilePath)
    /// To the end of a file, which is created if there is none.
    case appending(FilePath)
    /// To an open descriptor, which stays the caller's.
    case descriptor(FileDescriptor)
  }

  /// Where a child's standard error goes.
  public enum ErrorOutput: Sendable, Hashable {
    /// To where this process has its own.
    case inherit
    /// To nowhere.
    case null
    /// To this process.
    case pipe
    /// To where its standard output goes: asyncio's `STDOUT`.
    case merged
    /// To a file, which is created, or emptied, here.
    case file(FilePath)
    /// To the end of a file, which is created if there is none.
    case appending(FilePath)
    /// To an open descriptor, which stays the caller's.
    case descriptor(FileDescriptor)
  }

  /// The environment of a child.
  public enum Environment: Sendable, Hashable {
    /// What this process has.
    case inherit
    /// These variables, and no others.
    case replace([String: String])
    /// What this process has, with these in it; `nil` takes one out.
    case update([String: String?])
  }

  /// The process group of a child, to which a terminal's signals go.
  public enum Group: Sendable, Hashable {
    /// That of this process.
    case inherit
    /// One of its own, whose number is the child's.
    case new
    /// One that is there, in the same session.
    case joining(Int32)
    /// One of its own in a session of its own, without a terminal: asyncio's `start_new_session`.
    case newSession
  }
}
