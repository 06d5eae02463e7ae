namespace TunnelIngress.State;

/// <summary>Files and directories that only their owner may read; the mode is set as they are made, never after.</summary>
internal static class PrivateFiles
{
    private const UnixFileMode OwnerOnlyFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Makes a directory with mode 0700, unless it exists.</summary>
    public static void CreateDirectory(string path)
    {
        if (!Directory.Exists(path))
        {
            if (OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(path);
            }
            else
            {
                Directory.CreateDirectory(path, OwnerOnlyFile | UnixFileMode.UserExecute);
            }
        }
    }

    /// <summary>Makes an empty file with mode 0600, unless it exists.</summary>
    public static void CreateIfAbsent(string path)
    {
        if (!File.Exists(path))
        {
            Create(path, FileMode.OpenOrCreate).Dispose();
        }
    }

    /// <summary>Writes a new file with mode 0600; a reader sees all of it or none.</summary>
    /// <exception cref="IOException">It exists already.</exception>
    public static Task WriteNewAsync(string path, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        WriteAsync(path, content, overwrite: false, cancellationToken);

    /// <summary>Writes a file with mode 0600 in the place of another one; a reader sees the old or the new one, never half of it.</summary>
    public static Task ReplaceAsync(string path, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        WriteAsync(path, content, overwrite: true, cancellationToken);

    private static async Task WriteAsync(string path, ReadOnlyMemory<byte> content, bool overwrite, CancellationToken cancellationToken)
    {
        var fresh = $"{path}.{Guid.NewGuid():N}.new";
        try
        {
            await using (var file = Create(fresh, FileMode.CreateNew))
            {
                await file.WriteAsync(content, cancellationToken);
            }

            File.Move(fresh, path, overwrite);
        }
        catch
        {
            File.Delete(fresh);
            throw;
        }
    }

    private static FileStream Create(string path, FileMode mode)
    {
        // Written through: a token that was handed out must survive a power cut.
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.Write, Options = FileOptions.WriteThrough };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = OwnerOnlyFile;
        }

        return new FileStream(path, options);
    }
}
