namespace HeadPatching.Infra.Tests;

/// <summary>The Dockerfiles, as far as they can be held without a Docker engine. <see cref="PublishLayoutTests"/> runs a build stage.</summary>
public class DockerfileTests
{
    private static readonly DockerfileText Functions = DockerfileText.Functions;

    public static TheoryData<string> Files => ["infra/Dockerfile", "infra/serve.Dockerfile"];

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_copied_file_and_folder_exists_and_is_not_ignored(string file)
    {
        DockerfileText text = Of(file);
        string[] kept = [.. RepositoryFolder.Read($"{file}.dockerignore").Split('\n').Where(line => line.StartsWith('!')).Select(line => line[1..].TrimEnd())];
        Assert.NotEmpty(text.CopySources);
        Assert.All(text.CopySources, source =>
        {
            Assert.True(Path.Exists(Path.Combine(RepositoryFolder.Root, source)), source);
            Assert.Contains(kept, name => source == name || (name.EndsWith('/') && source.StartsWith(name, StringComparison.Ordinal)));
        });
        Assert.All(kept, name => Assert.Contains(name, text.CopySources));
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Packages_are_restored_before_any_code_is_copied_and_native_libraries_have_a_layer_of_their_own(string file)
    {
        DockerfileText text = Of(file);
        Assert.DoesNotContain("src/", text.RestoreSources);
        Assert.Contains("src/", text.CopySources);

        // Every project that the published one needs is there to be restored.
        string[] projects = [.. text.RestoreSources.Where(source => source.EndsWith(".csproj", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        Assert.Equal(Needed($"{text.PublishArguments[1]}/{Path.GetFileName(text.PublishArguments[1])}.csproj").Distinct().Order(StringComparer.Ordinal), projects);

        string[] layers = [.. text.Instructions.Where(line => line.StartsWith("COPY --from=build ", StringComparison.Ordinal)).Select(line => line.Split(' ')[^2])];
        Assert.Equal(["/native", "/published"], layers[^2..]);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Both_bases_can_be_given_with_a_digest(string file)
    {
        DockerfileText text = Of(file);
        string[] stages = [.. text.Instructions.Where(line => line.StartsWith("FROM ", StringComparison.Ordinal))];
        Assert.Equal(2, stages.Length);
        Assert.All(stages, stage => Assert.Matches(@"^FROM \$\{\w+\}", stage));
        Assert.Equal(2, text.Instructions.TakeWhile(line => line.StartsWith("ARG ", StringComparison.Ordinal)).Count());
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void One_build_argument_chooses_CPU_or_CUDA(string file)
    {
        DockerfileText text = Of(file);
        Assert.Contains("ARG TORCH=cpu", text.Instructions);
        Assert.Contains("-p:TorchRuntime=$TORCH", text.RestoreArguments);
        Assert.Contains("-p:TorchRuntime=$TORCH", text.PublishArguments);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void It_does_not_run_as_root(string file)
    {
        string[] instructions = Of(file).Instructions;
        Assert.Contains("ARG RUN_AS=1654", instructions);
        Assert.Equal("USER ${RUN_AS}:${RUN_AS}", instructions.Last(line => line.StartsWith("USER ", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_bases_are_those_of_the_projects_framework()
    {
        Assert.Contains("<TargetFramework>net10.0</TargetFramework>", RepositoryFolder.Read("Directory.Build.props"), StringComparison.Ordinal);
        Assert.Contains(Functions.Instructions, line => line.StartsWith("ARG SDK_IMAGE=", StringComparison.Ordinal) && line.EndsWith("dotnet/sdk:10.0", StringComparison.Ordinal));
        Assert.Contains(Functions.Instructions, line => line.StartsWith("ARG HOST_IMAGE=", StringComparison.Ordinal) && line.EndsWith("dotnet-isolated10.0", StringComparison.Ordinal));
        Assert.Contains(DockerfileText.Serve.Instructions, line => line.StartsWith("ARG RUNTIME_IMAGE=", StringComparison.Ordinal) && line.EndsWith("aspnet:10.0", StringComparison.Ordinal));
    }

    [Fact]
    public void The_host_listens_where_the_templates_send_requests()
    {
        Assert.Contains("EXPOSE 8080", Functions.Instructions);
        Assert.Contains(Functions.Instructions, line => line.Contains("ASPNETCORE_URLS=http://+:8080", StringComparison.Ordinal));
        Assert.Contains("var port = 8080", RepositoryFolder.Read("infra/modules/container-apps.bicep"), StringComparison.Ordinal);
        Assert.Equal("8080", ArmResources.AppSettings("elastic-premium")["WEBSITES_PORT"]);
    }

    private static DockerfileText Of(string file) => file == DockerfileText.Serve.File ? DockerfileText.Serve : Functions;

    private static IEnumerable<string> Needed(string project)
    {
        yield return project;
        foreach (string line in RepositoryFolder.Read(project).Split('\n').Where(line => line.Contains("<ProjectReference ", StringComparison.Ordinal)))
        {
            foreach (string needed in Needed($"src/{line.Split('"')[1].Replace("../", "", StringComparison.Ordinal)}"))
            {
                yield return needed;
            }
        }
    }
}
