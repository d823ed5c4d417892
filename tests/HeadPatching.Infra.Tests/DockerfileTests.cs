namespace HeadPatching.Infra.Tests;

/// <summary>The Dockerfile, as far as it can be held without a Docker engine. <see cref="PublishLayoutTests"/> runs its build stage.</summary>
public class DockerfileTests
{
    [Fact]
    public void Every_copied_file_and_folder_exists_and_is_not_ignored()
    {
        string[] kept = [.. RepositoryFolder.Read("infra/Dockerfile.dockerignore").Split('\n').Where(line => line.StartsWith('!')).Select(line => line[1..].TrimEnd())];
        Assert.NotEmpty(DockerfileText.CopySources);
        Assert.All(DockerfileText.CopySources, source =>
        {
            Assert.True(Path.Exists(Path.Combine(RepositoryFolder.Root, source)), source);
            Assert.Contains(source, kept);
        });
        Assert.Equal(DockerfileText.CopySources.Order(StringComparer.Ordinal), kept.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void One_build_argument_chooses_CPU_or_CUDA()
    {
        Assert.Contains("ARG TORCH=cpu", DockerfileText.Instructions);
        Assert.Contains("-p:TorchRuntime=$TORCH", DockerfileText.PublishArguments);
    }

    [Fact]
    public void It_runs_on_the_host_for_the_projects_framework_and_not_as_root()
    {
        Assert.Contains("<TargetFramework>net10.0</TargetFramework>", RepositoryFolder.Read("Directory.Build.props"), StringComparison.Ordinal);
        string[] stages = [.. DockerfileText.Instructions.Where(line => line.StartsWith("FROM ", StringComparison.Ordinal))];
        Assert.Equal(2, stages.Length);
        Assert.Contains("dotnet/sdk:10.0", stages[0], StringComparison.Ordinal);
        Assert.EndsWith("dotnet-isolated10.0", stages[1], StringComparison.Ordinal);

        Assert.Contains("ARG RUN_AS=1654", DockerfileText.Instructions);
        Assert.Equal("USER ${RUN_AS}:${RUN_AS}", DockerfileText.Instructions.Last(line => line.StartsWith("USER ", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_host_listens_where_the_templates_send_requests()
    {
        Assert.Contains("EXPOSE 8080", DockerfileText.Instructions);
        Assert.Contains(DockerfileText.Instructions, line => line.Contains("ASPNETCORE_URLS=http://+:8080", StringComparison.Ordinal));
        Assert.Contains("var port = 8080", RepositoryFolder.Read("infra/modules/container-apps.bicep"), StringComparison.Ordinal);
        Assert.Equal("8080", ArmResources.AppSettings("elastic-premium")["WEBSITES_PORT"]);
    }
}
