// SPDX-License-Identifier: Apache-2.0
//
// The pipes to a child as streams, which are made when somebody asks for them.

extension ChildProcess {
  /// What goes to the child's standard input; `nil` where that is no pipe, and where `communicate` has it.
  ///
  /// Close it when the child has got everything: many programs wait for the end of their input. A write to a child that
  /// reads no more throws ``SystemError`` with `EPIPE`.
  ///
  /// ``communicate(input:timeout:limit:)`` writes its input after what was written here, and closes it.
  public var stdin: StreamWriter? {
    if streams.input == nil {
      streams.input = stream(of: pipes.input) { [site = exit.site] pipe, loop throws in
        guard let owned = pipe.take() else { return nil }
        return try StreamWriter(owningPipe: owned, site: site, on: loop)
      }
    }
    return streams.input
  }

  /// What comes from the child's standard output; `nil` where that is no pipe, and where `communicate` has it.
  ///
  /// ```swift
  /// let child = try ChildProcess.spawn("ls", stdout: .pipe)
  /// if let stdout = child.stdout {
  ///   for try await line in stdout.lines { print(line) }
  /// }
  /// try await child.waitForExit()
  /// ```
  ///
  /// What was written before the child's end can be read after it. ``communicate(input:timeout:limit:)`` returns what was
  /// not read here. The stream does not hold the child: keep that as long as it is to run.
  public var stdout: StreamReader? {
    if streams.output == nil { streams.output = reader(of: pipes.output) }
    return streams.output
  }

  /// What comes from the child's standard error; as ``stdout`` in all else.
  public var stderr: StreamReader? {
    if streams.errors == nil { streams.errors = reader(of: pipes.errors) }
    return streams.errors
  }

  private func reader(of pipe: ChildPipe?) -> StreamReader? {
    stream(of: pipe) { [site = exit.site] pipe, loop throws in
      guard let owned = pipe.take() else { return nil }
      return try StreamReader(owningPipe: owned, site: site, on: loop)
    }
  }

  private func stream<Stream>(
    of pipe: ChildPipe?, _ make: @escaping (ChildPipe, isolated EventLoop) throws -> Stream?
  ) -> Stream? {
    guard let pipe else { return nil }
    // It fails only on a loop that is closed, where nothing can be read or written any more.
    let makes = Confined(value: (pipe, make))
    return loop.assumeIsolated { Confined(value: try? makes.value.1(makes.value.0, $0)) }.value
  }
}

/// The streams that were asked for.
struct ChildStreams {
  var input: StreamWriter?
  var output: StreamReader?
  var errors: StreamReader?

  /// Closes them all.
  func close() {
    input?.abort()
    output?.close()
    errors?.close()
  }

  /// The child's object goes: closes those that nobody else has. Any thread.
  mutating func letGo(on loop: EventLoop) {
    let input = isKnownUniquelyReferenced(&input) ? input : nil
    let output = isKnownUniquelyReferenced(&output) ? output : nil
    let errors = isKnownUniquelyReferenced(&errors) ? errors : nil
    if input == nil && output == nil && errors == nil { return }
    let alone = Confined(value: ChildStreams(input: input, output: output, errors: errors))
    // A closed loop has closed them.
    _ = loop.executor.onLoop { alone.value.close() }
  }
}
