// SPDX-License-Identifier: Apache-2.0
//
// A line that tells what is being measured: on standard error, and on a terminal only.

import Glibc

struct Progress {
  private let isShown = isatty(STDERR_FILENO) == 1
  private let steps: Int
  private var done = 0

  init(steps: Int) { self.steps = steps }

  mutating func step(_ what: String) {
    done += 1
    write("\r\u{1B}[K[\(done)/\(steps)] \(what)")
  }

  /// Before a line on standard output.
  func clear() { write("\r\u{1B}[K") }

  private func write(_ text: String) {
    guard isShown else { return }
    var text = text
    text.withUTF8 { bytes in _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
  }
}
