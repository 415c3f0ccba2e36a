# oci2bwrap for Nix. `lib` needs nothing but Nix itself and, in the build, a
# shell with mkdir, ln and sort; `withPkgs` takes nixpkgs.
{ system ? builtins.currentSystem }:
let
  toList = x: if builtins.isList x then x else [ x ];

  # shell and path are what the builds run with. Inside Nix's sandbox they have
  # to be store paths, as withPkgs gives them.
  mkImageDir =
    { config ? { }
    , copyToRoot ? [ ]
    , name ? "image"
    , shell ? "/bin/sh"
    , path ? "/usr/bin:/bin"
    }:
    let
      roots = toList copyToRoot;
      run = more: derivation ({
        inherit system;
        builder = shell;
        PATH = path;
      } // more);
      configFile = run {
        name = "${name}-config.json";
        configJSON = builtins.toJSON config;
        args = [ "-euc" "printf '%s\\n' \"$configJSON\" > $out" ];
      };
      closed = [ configFile ] ++ roots;
      graphs = builtins.genList (n: "graph${toString n}") (builtins.length closed);
    in
    # What `oci2bwrap run` takes: config.json, layers/ lowest first, and the
    # closure of both, one store path a line.
    run {
      inherit name configFile roots;
      exportReferencesGraph = builtins.concatLists
        (builtins.genList (n: [ (builtins.elemAt graphs n) (builtins.elemAt closed n) ]) (builtins.length closed));
      graphs = graphs;
      args = [ "-euc" ''
        mkdir -p $out/layers
        ln -s $configFile $out/config.json
        n=1
        for root in $roots; do ln -s $root $out/layers/$n; n=$((n + 1)); done
        for graph in $graphs; do
          while read -r path; do
            read -r deriver; read -r references
            while [ $references -gt 0 ]; do read -r reference; references=$((references - 1)); done
            if [ $path != $configFile ]; then echo $path; fi
          done < $graph
        done | sort -u > $out/store-paths
      '' ];
    };
in
{
  lib = { inherit mkImageDir; };

  withPkgs = pkgs: rec {
    package = pkgs.buildGoModule {
      pname = "oci2bwrap";
      version = "0";
      src = ../.;
      subPackages = [ "cmd/oci2bwrap" ];
      vendorHash = null; # to be set to what the first build reports
      env.CGO_ENABLED = 0;
      doCheck = false; # the tests want namespaces, which a build has not
    };

    imageDir = args: mkImageDir ({
      shell = "${pkgs.runtimeShell}";
      path = "${pkgs.coreutils}/bin";
    } // args);

    # A program that runs the image; its arguments take the place of Cmd.
    mkBwrap = { name, config ? { }, copyToRoot ? [ ], flags ? [ ] }:
      pkgs.writeShellScriptBin name ''
        PATH=${pkgs.bubblewrap}/bin:$PATH exec ${package}/bin/oci2bwrap run ${pkgs.lib.escapeShellArgs flags} ${imageDir { inherit name config copyToRoot; }} "$@"
      '';
  };
}
