using System.Text.Json;
using Shared.Streams.Access;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary>Hands out a secret, once: into a file that only its owner can read, or on standard output.</summary>
internal static class TokenOutput
{
    private static readonly JsonSerializerOptions FileForm = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>
    /// Records the token and hands it out. With a file, the file is written first: a secret that nobody has must not come into force.
    /// </summary>
    public static async Task WriteAsync(
        AdminContext context, ServiceToken token, TokenScope scope, string? file, bool replace, Func<Task> record, CancellationToken cancellationToken)
    {
        var next = NextStep(scope, file ?? "FILE");
        var where = $"Recorded in the state in {context.StateDirectory}; an ingress that runs on it knows it within {StateWatcher.Latency.TotalSeconds:0} seconds.";
        if (file is null)
        {
            await record();
            await context.WriteAsync(
                new { token.ClientId, token.ClientSecret, Scope = scope.ToString(), context.StateDirectory },
                $"""
                Client id:      {token.ClientId}
                Client secret:  {token.ClientSecret}
                Scope:          {scope}

                {where}
                The secret is shown this once. Set TUNNEL_CLIENT_ID and TUNNEL_CLIENT_SECRET, or keep both in a file. Next:
                  {next}
                """);
            return;
        }

        var content = JsonSerializer.SerializeToUtf8Bytes(token, FileForm);

        // A rotation's file replaces the one in use, and only once the new secret is good.
        var written = replace ? $"{file}.{Guid.NewGuid():N}.new" : file;
        await PrivateFiles.WriteNewAsync(written, content, cancellationToken);
        try
        {
            await record();
        }
        catch
        {
            File.Delete(written);
            throw;
        }

        if (replace)
        {
            File.Move(written, file, overwrite: true);
        }

        await context.WriteAsync(
            new { token.ClientId, File = file, Scope = scope.ToString(), context.StateDirectory },
            $"Token {token.ClientId} ({scope}) written to {file}, readable by you only.\n{where} Next:\n  {next}");
    }

    private static string NextStep(TokenScope scope, string file) => scope.ConnectTunnel is not null
        ? $"tunnel-connector run --ingress wss://INGRESS --token-file {file} --service NAME=TARGET"
        : $"tunnel-pooler forward --hostname HOST --listen 127.0.0.1:5432 --token-file {file}";
}
