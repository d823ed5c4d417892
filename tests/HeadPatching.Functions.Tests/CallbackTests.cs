using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Functions.Tests;

/// <summary>Callbacks on the durable engine: an orchestration of their own, and the timer for what that does not reach.</summary>
public sealed class CallbackTests : IDisposable
{
    private readonly CallbackReceiver _receiver = new();

    [Fact]
    public async Task The_end_of_a_sweep_is_told_by_an_orchestration_that_tries_again_and_the_sweep_does_not_wait_for_it()
    {
        _receiver.Answer = before => before == 0 ? 503 : 200;
        await using DurableSweeps durable = await DurableSweeps.StartAsync(callbackHosts: [_receiver.Origin]);
        Submission submission = await durable.Host.SubmitAsync(new SweepRequest { Callback = $"{_receiver.Origin}/" }, null, null);
        Assert.Equal(SweepState.Completed, (await durable.EndAsync(submission.Status.Id)).Status);
        IReadOnlyList<ReceivedCallback> told = await _receiver.WaitAsync(2);
        Assert.All(told, one => Assert.True(one.IsSignedWith(DurableSweeps.CallbackSecret)));
        Assert.Equal((submission.Status.Id, "completed"), (told[1].Sweep, told[1].Json.GetProperty("status").GetString()));
        await UntilNoneIsLeftAsync(durable, submission.Status.Id);
    }

    [Fact]
    public async Task A_failed_sweep_is_told_of_too_and_one_without_a_callback_has_no_orchestration_for_it()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync(callbackHosts: [_receiver.Origin]);
        var unequal = new PromptPair(Prompt.Of(" Mary and John"), Prompt.Of(" Mary"), Answer.Of(" Mary"), Answer.Of(" John"));
        Submission failing = await durable.Host.SubmitAsync(new SweepRequest { Pairs = [unequal], Callback = $"{_receiver.Origin}/" }, null, null);
        ReceivedCallback told = Assert.Single(await _receiver.WaitAsync(1));
        Assert.Equal((failing.Status.Id, "failed"), (told.Sweep, told.Json.GetProperty("status").GetString()));
        Assert.NotEmpty(told.Json.GetProperty("error").GetString()!);

        Submission silent = await durable.Host.SubmitAsync(new SweepRequest(), null, null);
        await durable.EndAsync(silent.Status.Id);
        Assert.NotNull(await durable.Client.GetInstanceAsync($"{failing.Status.Id}-callback"));
        Assert.Null(await durable.Client.GetInstanceAsync($"{silent.Status.Id}-callback"));
    }

    [Fact]
    public async Task A_cancelled_sweeps_callback_is_sent_by_the_timer()
    {
        await using DurableSweeps durable = await DurableSweeps.StartAsync(callbackHosts: [_receiver.Origin]);
        var gate = new TaskCompletionSource();
        durable.Hold = _ => gate.Task;
        Submission submission = await durable.Host.SubmitAsync(new SweepRequest { Callback = $"{_receiver.Origin}/" }, null, null);
        string id = submission.Status.Id;
        await durable.Callbacks.DeliverDueAsync(durable.Host.FindAsync, TestContext.Current.CancellationToken);
        Assert.Empty(_receiver.Received); // it has not ended

        Assert.Equal(Removal.Cancelling, await durable.Host.RemoveAsync(id, TestContext.Current.CancellationToken));
        gate.SetResult();
        Assert.Equal(SweepState.Cancelled, (await durable.EndAsync(id)).Status);
        await durable.Callbacks.DeliverDueAsync(durable.Host.FindAsync, TestContext.Current.CancellationToken);
        Assert.Equal("cancelled", Assert.Single(_receiver.Received).Json.GetProperty("status").GetString());
        await UntilNoneIsLeftAsync(durable, id);
    }

    private static async Task UntilNoneIsLeftAsync(DurableSweeps durable, string id)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (await durable.Store.ExistsAsync(SweepArtifacts.Callback(id), patience.Token))
        {
            await Task.Delay(50, patience.Token);
        }
    }

    public void Dispose() => _receiver.Dispose();
}
