// The health check of an image that has no shell and no curl: `healthcheck URL` ends with 0 when the URL answers 2xx, else with 1.
if (args is not [var address] || !Uri.TryCreate(address, UriKind.Absolute, out var url))
{
    await Console.Error.WriteLineAsync("usage: healthcheck URL");
    return 2;
}

using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(2) };
try
{
    using var response = await client.GetAsync(url);
    await Console.Out.WriteLineAsync($"{url} answered {(int)response.StatusCode}");
    return response.IsSuccessStatusCode ? 0 : 1;
}
catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
{
    await Console.Error.WriteLineAsync($"{url} did not answer: {exception.Message}");
    return 1;
}
