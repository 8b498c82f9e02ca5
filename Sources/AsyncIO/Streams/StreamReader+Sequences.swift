// SPDX-License-Identifier: Apache-2.0
//
// Streams as sequences: of lines, and of what comes.

extension StreamReader {
  /// The lines of the stream, without their endings, until its end: as ``readLine(strippingNewline:timeout:)``.
  ///
  /// A cancel, or another error, ends the iteration; a new one goes on where it stood.
  public var lines: Lines { Lines(reader: self) }

  /// What comes, in pieces of at least a byte, until the end of the stream: as ``read(upTo:timeout:)``.
  public var chunks: Chunks { Chunks(reader: self) }

  /// The lines of a stream.
  public struct Lines: AsyncSequence {
    fileprivate let reader: StreamReader

    /// Begins with the next line of the stream.
    public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

    /// The lines that come.
    public struct Iterator: AsyncIteratorProtocol {
      fileprivate let reader: StreamReader

      /// The next line; `nil` at the end of the stream.
      public mutating func next() async throws -> String? { try await reader.readLine() }

      /// The same, in the isolation of the caller.
      public mutating func next(isolation actor: isolated (any Actor)?) async throws -> String? {
        try await reader.readLine()
      }
    }
  }

  /// The pieces of a stream.
  public struct Chunks: AsyncSequence {
    @usableFromInline let reader: StreamReader

    @inlinable
    init(reader: StreamReader) {
      self.reader = reader
    }

    /// Begins with what comes next.
    @inlinable
    public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

    /// The pieces that come.
    public struct Iterator: AsyncIteratorProtocol {
      @usableFromInline let reader: StreamReader

      @inlinable
      init(reader: StreamReader) {
        self.reader = reader
      }

      /// What has come; `nil` at the end of the stream.
      @inlinable
      public mutating func next() async throws -> [UInt8]? { try await next(isolation: #isolation) }

      /// The same, in the isolation of the caller.
      @inlinable
      public mutating func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
        let bytes = try await reader.read(upTo: .max)
        return bytes.isEmpty ? nil : bytes
      }
    }
  }
}
