using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Requests;

/// <summary>Reads a request's body, never more of it than is allowed.</summary>
internal static class BoundedBody
{
    private const int FirstBytes = 16 << 10;

    /// <summary>Reads the body.</summary>
    /// <exception cref="BodyTooLargeException">
    /// It is larger than allowed: by what it says of itself, and then nothing of it is read, or by what came in.
    /// </exception>
    /// <exception cref="BadHttpRequestException">It is not the HTTP that it says it is, or its sender went away.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpRequest request, int mostBytes, CancellationToken cancellationToken)
    {
        if (request.ContentLength > mostBytes)
        {
            throw new BodyTooLargeException(mostBytes);
        }

        byte[] buffer = new byte[Math.Min(mostBytes, (request.ContentLength ?? FirstBytes) + 1)];
        int length = 0;
        while (true)
        {
            if (length == buffer.Length)
            {
                if (length > mostBytes)
                {
                    throw new BodyTooLargeException(mostBytes);
                }

                Array.Resize(ref buffer, (int)Math.Min(mostBytes + 1L, buffer.Length * 2L));
            }

            int read = await ReadAsync(request.Body, buffer.AsMemory(length), cancellationToken);
            if (read == 0)
            {
                return buffer.AsMemory(0, length);
            }

            length += read;
        }
    }

    // What goes wrong here is the sender's or the network's, never the store's.
    private static async Task<int> ReadAsync(Stream body, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await body.ReadAsync(buffer, cancellationToken);
        }
        catch (IOException e) when (e is not BadHttpRequestException)
        {
            throw new BadHttpRequestException(e.Message, e);
        }
    }
}
