using System.Globalization;
using System.Text;

namespace Shared.Hosting.Logging;

/// <summary>Writes everything as <see cref="VisibleText"/> to another writer, which stays its owner's.</summary>
internal sealed class VisibleWriter(TextWriter output) : TextWriter(CultureInfo.InvariantCulture)
{
    /// <inheritdoc/>
    public override Encoding Encoding => output.Encoding;

    /// <inheritdoc/>
    public override void Write(char value) => Write([value]);

    /// <inheritdoc/>
    public override void Write(string? value) => Write(value.AsSpan());

    /// <inheritdoc/>
    public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<char> buffer) => VisibleText.Write(buffer, output);
}
