// SPDX-License-Identifier: Apache-2.0
//
// How a child process ended.

/// How a child process ended.
///
/// ```swift
/// switch try await child.waitForExit() {
/// case .exited(0): print("well")
/// case .exited(let code): print("code", code)
/// case .signalled(let signal, _): print("signal", signal)
/// case .unknown: print("somebody else took its status")
/// }
/// ```
public enum ChildExitStatus: Sendable, Hashable, CustomStringConvertible {
  /// It ended by itself, with a code from 0 to 255.
  case exited(Int32)

  /// A signal ended it.
  case signalled(Int32, coreDumped: Bool)

  /// It ended, and nobody can say how: other code of this process waited for all children, or ignores `SIGCHLD`.
  case unknown

  /// Whether it ended by itself with code 0.
  public var isSuccess: Bool { self == .exited(0) }

  /// asyncio's `returncode`: the code, or the signal's number as a negative one; `nil` when nobody knows.
  public var returnCode: Int32? {
    switch self {
    case .exited(let code): code
    case .signalled(let signal, _): -signal
    case .unknown: nil
    }
  }

  /// In words, for logs.
  public var description: String {
    switch self {
    case .exited(let code): "exited with code \(code)"
    case .signalled(let signal, let coreDumped): "ended by signal \(signal)\(coreDumped ? ", core dumped" : "")"
    case .unknown: "ended with an unknown status"
    }
  }
}
