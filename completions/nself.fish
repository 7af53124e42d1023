# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_nself_global_optspecs
    string join \n json q/quiet v/verbose color= project= project-dir= timeout= h/help V/version
end

function __fish_nself_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_nself_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_nself_using_subcommand
    set -l cmd (__fish_nself_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c nself -n "__fish_nself_needs_command" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_needs_command" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_needs_command" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_needs_command" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_needs_command" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_needs_command" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_needs_command" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nself -n "__fish_nself_needs_command" -s V -l version -d 'Print version'
complete -c nself -n "__fish_nself_needs_command" -f -a "plugin" -d 'Install, look after and remove plugins'
complete -c nself -n "__fish_nself_needs_command" -f -a "plugins" -d 'Install, look after and remove plugins'
complete -c nself -n "__fish_nself_needs_command" -f -a "logs" -d 'Show a plugin\'s log (without a backend CLI)'
complete -c nself -n "__fish_nself_needs_command" -f -a "status" -d 'Show the state of the installed plugins (without a backend CLI)'
complete -c nself -n "__fish_nself_needs_command" -f -a "start" -d 'Start stopped plugins (without a backend CLI)'
complete -c nself -n "__fish_nself_needs_command" -f -a "stop" -d 'Stop plugins (without a backend CLI)'
complete -c nself -n "__fish_nself_needs_command" -f -a "restart" -d 'Restart plugins (without a backend CLI)'
complete -c nself -n "__fish_nself_needs_command" -f -a "doctor" -d 'Check all that an installation needs (without a backend CLI)'
complete -c nself -n "__fish_nself_needs_command" -f -a "self-update" -d 'Update this program to the newest release, verified first'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "install" -d 'Install plugins and prove them healthy'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "add" -d 'Install plugins and prove them healthy'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "remove" -d 'Remove plugins; data and settings are kept'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "rm" -d 'Remove plugins; data and settings are kept'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "uninstall" -d 'Remove plugins; data and settings are kept'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "list" -d 'List the plugins there are, or those installed'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "ls" -d 'List the plugins there are, or those installed'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "info" -d 'Show all that is known of a plugin'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "status" -d 'Show the state of the installed plugins: container, address, health'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "health" -d 'Ask the installed plugins for their health; exit 1 if one is sick'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "logs" -d 'Show a plugin\'s log'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "start" -d 'Start stopped plugins'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "stop" -d 'Stop plugins; they stay stopped until started'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "restart" -d 'Restart plugins'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "doctor" -d 'Check all that an installation needs: engine, disk, memory, ports, variables, registries; changes nothing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "refresh" -d 'Fetch the registry documents anew'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "sync-registry" -d 'Fetch the registry documents anew'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "config" -d 'Show or set a plugin\'s values'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "setup" -d 'Choose plugins, give what they need, install and verify them: guided, or by flags'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "env" -d 'Print the addresses of installed plugins as variables for a frontend'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "open" -d 'Open a plugin\'s page in a browser, or print its address'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "pack" -d 'Make archives and a registry document from package folders (for authors)'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "run" -d 'Run an action of an installed plugin; the same as `nself plugin NAME ACTION`'
complete -c nself -n "__fish_nself_using_subcommand plugin; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "exec" -d 'Run a program inside an installed plugin\'s container'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l set -d 'The plugins of a set: core, auth, integrations, or one that a registry names' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l version -d 'The version, where one plugin is named; the same as NAME@VERSION' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l env -d 'Set a variable for the plugins; goes before the environment and all files' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l verify -d 'Whether an archive must have a digest: require, warn, or off (default: warn; bundled always require)' -r -f -a "require\t''
warn\t''
off\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l allow-build -d 'Allow the build of a package that is not bundled to run its programs, without network access unless `network` is given' -r -f -a "offline\t'Run programs without network access'
network\t'Run programs with network access'"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l with-services -d 'Install services that plugins need and that nobody gives, without asking: the default, but beside a backend'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l no-services -d 'Never install a service; a plugin that needs one is left out'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l core-only -d 'The core plugins: realtime, notifications, jobs, file-processing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l with-auth -d 'The core plugins and those of the set auth'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l all -d 'Every set: core, auth and integrations'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l skip-restart -d 'Do not restart the backend after a set was installed; print the command instead'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l dry-run -d 'Print what the registries say would be installed, and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l check -d 'Like --dry-run, but fetch the packages and check everything, with the exit codes of an installation'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l order-only -d 'Like --dry-run, but print only the names, in the order of the installation'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l allow-privileged -d 'Grant what the manifest asks for beyond the hardened defaults'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l force -d 'Install again although it is installed and healthy'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l set -d 'The plugins of a set: core, auth, integrations, or one that a registry names' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l version -d 'The version, where one plugin is named; the same as NAME@VERSION' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l env -d 'Set a variable for the plugins; goes before the environment and all files' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l verify -d 'Whether an archive must have a digest: require, warn, or off (default: warn; bundled always require)' -r -f -a "require\t''
warn\t''
off\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l allow-build -d 'Allow the build of a package that is not bundled to run its programs, without network access unless `network` is given' -r -f -a "offline\t'Run programs without network access'
network\t'Run programs with network access'"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l with-services -d 'Install services that plugins need and that nobody gives, without asking: the default, but beside a backend'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l no-services -d 'Never install a service; a plugin that needs one is left out'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l core-only -d 'The core plugins: realtime, notifications, jobs, file-processing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l with-auth -d 'The core plugins and those of the set auth'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l all -d 'Every set: core, auth and integrations'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l skip-restart -d 'Do not restart the backend after a set was installed; print the command instead'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l dry-run -d 'Print what the registries say would be installed, and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l check -d 'Like --dry-run, but fetch the packages and check everything, with the exit codes of an installation'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l order-only -d 'Like --dry-run, but print only the names, in the order of the installation'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l allow-privileged -d 'Grant what the manifest asks for beyond the hardened defaults'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l force -d 'Install again although it is installed and healthy'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l delete-data -d 'Delete the plugin\'s volumes and stored values too'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l keep-data -d 'Keep data (this is the default)'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l keep-image -d 'Keep the image and its package, so that the next installation makes neither again'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l force -d 'Remove even what another installed plugin needs, or what an interrupted command left and cannot be recovered'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l dry-run -d 'Print the plan and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l delete-data -d 'Delete the plugin\'s volumes and stored values too'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l keep-data -d 'Keep data (this is the default)'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l keep-image -d 'Keep the image and its package, so that the next installation makes neither again'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l force -d 'Remove even what another installed plugin needs, or what an interrupted command left and cannot be recovered'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l dry-run -d 'Print the plan and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l delete-data -d 'Delete the plugin\'s volumes and stored values too'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l keep-data -d 'Keep data (this is the default)'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l keep-image -d 'Keep the image and its package, so that the next installation makes neither again'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l force -d 'Remove even what another installed plugin needs, or what an interrupted command left and cannot be recovered'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l dry-run -d 'Print the plan and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from uninstall" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -s c -l category -d 'Only this category' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -s i -l installed -d 'Only what is installed'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -s d -l detailed -d 'With descriptions and addresses'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -s c -l category -d 'Only this category' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -s i -l installed -d 'Only what is installed'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -s d -l detailed -d 'With descriptions and addresses'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -l repair -d 'Finish or roll back what interrupted commands left, in every project'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -s y -l yes -d 'Give up what cannot be recovered, without asking'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from health" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from health" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from health" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from health" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from health" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from health" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from health" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from health" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from health" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -s n -l lines -d 'How many lines from the end' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -l grep -d 'Only lines that contain this text' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -s f -l follow -d 'Go on until interrupted'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -l raw -d 'Control characters as they are, even on a terminal'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from logs" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from start" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from start" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from start" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from start" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from start" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from start" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from start" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from start" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from stop" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from stop" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from stop" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from stop" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from stop" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from stop" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from stop" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from restart" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from restart" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from restart" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from restart" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from restart" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from restart" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from restart" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from restart" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from restart" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l set -d 'The plugins of a set: core, auth, integrations, or one that a registry names' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l core-only -d 'The core plugins: realtime, notifications, jobs, file-processing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l with-auth -d 'The core plugins and those of the set auth'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l all -d 'Every set: core, auth and integrations'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from doctor" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from refresh" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from sync-registry" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -a "get" -d 'Show one value or all; secrets only with --reveal'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -a "show" -d 'Show one value or all; secrets only with --reveal'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -a "set" -d 'Store a value; it takes effect at the next install'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from config" -a "unset" -d 'Forget a stored value'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l set -d 'The plugins of a set: core, auth, integrations, or one that a registry names' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l env -d 'Set a variable for the plugins; it is kept in .env.plugins where that has no value for it' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l with-services -d 'Install services that plugins need and that nobody gives, without asking: the default, but beside a backend'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l no-services -d 'Never install a service; a plugin that needs one is left out'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l core-only -d 'The core plugins: realtime, notifications, jobs, file-processing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l with-auth -d 'The core plugins and those of the set auth'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l all -d 'Every set: core, auth and integrations'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l skip-restart -d 'Do not restart the backend afterwards; print the command instead'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l allow-privileged -d 'Grant what manifests ask for beyond the hardened defaults'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -s y -l yes -d 'Ask nothing: take what the flags and the environment say; without plugins or sets, the core set'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from setup" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l format -d 'Format of the output' -r -f -a "dotenv\t'KEY=value'
shell\t'export KEY=\'value\''
json\t'One object'
nextjs\t'As .env.local of a Next.js application, with comments'"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l host -d 'Print addresses with this host name or IP address' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l for -d 'Where the frontend\'s server runs; the browser\'s addresses are the same' -r -f -a "host\t'On this machine'
container\t'In a container of the project\'s network'"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l write -d 'With --server: write everything, secrets included, to FILE, which only you can read' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l server -d 'Print what a server of the application needs: addresses, keys and passwords'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l reveal -d 'With --server: show keys and passwords'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from env" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from open" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from open" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from open" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from open" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from open" -l print -d 'Print the address and open nothing'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from open" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from open" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from open" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from open" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from pack" -s o -l output -d 'Where archives and registry.json are written' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from pack" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from pack" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from pack" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from pack" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from pack" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from pack" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from pack" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from pack" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from run" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from run" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from run" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from run" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from run" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from run" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from run" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from exec" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from exec" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from exec" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from exec" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from exec" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from exec" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from exec" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugin; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "install" -d 'Install plugins and prove them healthy'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "add" -d 'Install plugins and prove them healthy'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "remove" -d 'Remove plugins; data and settings are kept'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "rm" -d 'Remove plugins; data and settings are kept'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "uninstall" -d 'Remove plugins; data and settings are kept'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "list" -d 'List the plugins there are, or those installed'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "ls" -d 'List the plugins there are, or those installed'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "info" -d 'Show all that is known of a plugin'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "status" -d 'Show the state of the installed plugins: container, address, health'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "health" -d 'Ask the installed plugins for their health; exit 1 if one is sick'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "logs" -d 'Show a plugin\'s log'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "start" -d 'Start stopped plugins'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "stop" -d 'Stop plugins; they stay stopped until started'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "restart" -d 'Restart plugins'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "doctor" -d 'Check all that an installation needs: engine, disk, memory, ports, variables, registries; changes nothing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "refresh" -d 'Fetch the registry documents anew'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "sync-registry" -d 'Fetch the registry documents anew'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "config" -d 'Show or set a plugin\'s values'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "setup" -d 'Choose plugins, give what they need, install and verify them: guided, or by flags'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "env" -d 'Print the addresses of installed plugins as variables for a frontend'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "open" -d 'Open a plugin\'s page in a browser, or print its address'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "pack" -d 'Make archives and a registry document from package folders (for authors)'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "run" -d 'Run an action of an installed plugin; the same as `nself plugin NAME ACTION`'
complete -c nself -n "__fish_nself_using_subcommand plugins; and not __fish_seen_subcommand_from install add remove rm uninstall list ls info status health logs start stop restart doctor refresh sync-registry config setup env open pack run exec" -f -a "exec" -d 'Run a program inside an installed plugin\'s container'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l set -d 'The plugins of a set: core, auth, integrations, or one that a registry names' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l version -d 'The version, where one plugin is named; the same as NAME@VERSION' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l env -d 'Set a variable for the plugins; goes before the environment and all files' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l verify -d 'Whether an archive must have a digest: require, warn, or off (default: warn; bundled always require)' -r -f -a "require\t''
warn\t''
off\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l allow-build -d 'Allow the build of a package that is not bundled to run its programs, without network access unless `network` is given' -r -f -a "offline\t'Run programs without network access'
network\t'Run programs with network access'"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l with-services -d 'Install services that plugins need and that nobody gives, without asking: the default, but beside a backend'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l no-services -d 'Never install a service; a plugin that needs one is left out'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l core-only -d 'The core plugins: realtime, notifications, jobs, file-processing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l with-auth -d 'The core plugins and those of the set auth'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l all -d 'Every set: core, auth and integrations'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l skip-restart -d 'Do not restart the backend after a set was installed; print the command instead'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l dry-run -d 'Print what the registries say would be installed, and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l check -d 'Like --dry-run, but fetch the packages and check everything, with the exit codes of an installation'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l order-only -d 'Like --dry-run, but print only the names, in the order of the installation'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l allow-privileged -d 'Grant what the manifest asks for beyond the hardened defaults'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l force -d 'Install again although it is installed and healthy'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l set -d 'The plugins of a set: core, auth, integrations, or one that a registry names' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l version -d 'The version, where one plugin is named; the same as NAME@VERSION' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l env -d 'Set a variable for the plugins; goes before the environment and all files' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l verify -d 'Whether an archive must have a digest: require, warn, or off (default: warn; bundled always require)' -r -f -a "require\t''
warn\t''
off\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l allow-build -d 'Allow the build of a package that is not bundled to run its programs, without network access unless `network` is given' -r -f -a "offline\t'Run programs without network access'
network\t'Run programs with network access'"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l with-services -d 'Install services that plugins need and that nobody gives, without asking: the default, but beside a backend'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l no-services -d 'Never install a service; a plugin that needs one is left out'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l core-only -d 'The core plugins: realtime, notifications, jobs, file-processing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l with-auth -d 'The core plugins and those of the set auth'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l all -d 'Every set: core, auth and integrations'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l skip-restart -d 'Do not restart the backend after a set was installed; print the command instead'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l dry-run -d 'Print what the registries say would be installed, and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l check -d 'Like --dry-run, but fetch the packages and check everything, with the exit codes of an installation'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l order-only -d 'Like --dry-run, but print only the names, in the order of the installation'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l allow-privileged -d 'Grant what the manifest asks for beyond the hardened defaults'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l force -d 'Install again although it is installed and healthy'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l delete-data -d 'Delete the plugin\'s volumes and stored values too'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l keep-data -d 'Keep data (this is the default)'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l keep-image -d 'Keep the image and its package, so that the next installation makes neither again'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l force -d 'Remove even what another installed plugin needs, or what an interrupted command left and cannot be recovered'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l dry-run -d 'Print the plan and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l delete-data -d 'Delete the plugin\'s volumes and stored values too'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l keep-data -d 'Keep data (this is the default)'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l keep-image -d 'Keep the image and its package, so that the next installation makes neither again'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l force -d 'Remove even what another installed plugin needs, or what an interrupted command left and cannot be recovered'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l dry-run -d 'Print the plan and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l delete-data -d 'Delete the plugin\'s volumes and stored values too'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l keep-data -d 'Keep data (this is the default)'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l keep-image -d 'Keep the image and its package, so that the next installation makes neither again'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l force -d 'Remove even what another installed plugin needs, or what an interrupted command left and cannot be recovered'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l dry-run -d 'Print the plan and change nothing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -s y -l yes -d 'Answer every question with yes'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from uninstall" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -s c -l category -d 'Only this category' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -s i -l installed -d 'Only what is installed'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -s d -l detailed -d 'With descriptions and addresses'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -s c -l category -d 'Only this category' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -s i -l installed -d 'Only what is installed'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -s d -l detailed -d 'With descriptions and addresses'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -l repair -d 'Finish or roll back what interrupted commands left, in every project'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -s y -l yes -d 'Give up what cannot be recovered, without asking'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from health" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from health" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from health" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from health" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from health" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from health" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from health" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from health" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from health" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -s n -l lines -d 'How many lines from the end' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -l grep -d 'Only lines that contain this text' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -s f -l follow -d 'Go on until interrupted'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -l raw -d 'Control characters as they are, even on a terminal'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from logs" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from start" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from start" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from start" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from start" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from start" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from start" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from start" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from start" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from stop" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from stop" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from stop" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from stop" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from stop" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from stop" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from stop" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from restart" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from restart" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from restart" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from restart" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from restart" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from restart" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from restart" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from restart" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from restart" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l set -d 'The plugins of a set: core, auth, integrations, or one that a registry names' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l core-only -d 'The core plugins: realtime, notifications, jobs, file-processing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l with-auth -d 'The core plugins and those of the set auth'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l all -d 'Every set: core, auth and integrations'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from doctor" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from refresh" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from sync-registry" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -a "get" -d 'Show one value or all; secrets only with --reveal'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -a "show" -d 'Show one value or all; secrets only with --reveal'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -a "set" -d 'Store a value; it takes effect at the next install'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from config" -a "unset" -d 'Forget a stored value'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l set -d 'The plugins of a set: core, auth, integrations, or one that a registry names' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l registry -d 'Ask this registry only' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l env -d 'Set a variable for the plugins; it is kept in .env.plugins where that has no value for it' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l with-services -d 'Install services that plugins need and that nobody gives, without asking: the default, but beside a backend'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l no-services -d 'Never install a service; a plugin that needs one is left out'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l core-only -d 'The core plugins: realtime, notifications, jobs, file-processing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l with-auth -d 'The core plugins and those of the set auth'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l all -d 'Every set: core, auth and integrations'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l refresh -d 'Fetch registry documents anew, whatever the cache holds'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l skip-restart -d 'Do not restart the backend afterwards; print the command instead'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l allow-privileged -d 'Grant what manifests ask for beyond the hardened defaults'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -s y -l yes -d 'Ask nothing: take what the flags and the environment say; without plugins or sets, the core set'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from setup" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l format -d 'Format of the output' -r -f -a "dotenv\t'KEY=value'
shell\t'export KEY=\'value\''
json\t'One object'
nextjs\t'As .env.local of a Next.js application, with comments'"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l host -d 'Print addresses with this host name or IP address' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l for -d 'Where the frontend\'s server runs; the browser\'s addresses are the same' -r -f -a "host\t'On this machine'
container\t'In a container of the project\'s network'"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l write -d 'With --server: write everything, secrets included, to FILE, which only you can read' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l server -d 'Print what a server of the application needs: addresses, keys and passwords'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l reveal -d 'With --server: show keys and passwords'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from env" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from open" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from open" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from open" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from open" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from open" -l print -d 'Print the address and open nothing'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from open" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from open" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from open" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from open" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from pack" -s o -l output -d 'Where archives and registry.json are written' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from pack" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from pack" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from pack" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from pack" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from pack" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from pack" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from pack" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from pack" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from run" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from run" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from run" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from run" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from run" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from run" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from run" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from run" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from exec" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from exec" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from exec" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from exec" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from exec" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from exec" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from exec" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand plugins; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand logs" -s n -l lines -d 'How many lines from the end' -r
complete -c nself -n "__fish_nself_using_subcommand logs" -l grep -d 'Only lines that contain this text' -r
complete -c nself -n "__fish_nself_using_subcommand logs" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand logs" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand logs" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand logs" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand logs" -s f -l follow -d 'Go on until interrupted'
complete -c nself -n "__fish_nself_using_subcommand logs" -l raw -d 'Control characters as they are, even on a terminal'
complete -c nself -n "__fish_nself_using_subcommand logs" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand logs" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand logs" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand logs" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand status" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand status" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand status" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand status" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand status" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand status" -l repair -d 'Finish or roll back what interrupted commands left, in every project'
complete -c nself -n "__fish_nself_using_subcommand status" -s y -l yes -d 'Give up what cannot be recovered, without asking'
complete -c nself -n "__fish_nself_using_subcommand status" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand status" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand status" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand status" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand start" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand start" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand start" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand start" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand start" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand start" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand start" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand start" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand start" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand stop" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand stop" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand stop" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand stop" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand stop" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand stop" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand stop" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand stop" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand stop" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand restart" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand restart" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand restart" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand restart" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand restart" -s a -l all -d 'All that are installed'
complete -c nself -n "__fish_nself_using_subcommand restart" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand restart" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand restart" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand restart" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand doctor" -l set -d 'The plugins of a set: core, auth, integrations, or one that a registry names' -r
complete -c nself -n "__fish_nself_using_subcommand doctor" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand doctor" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand doctor" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand doctor" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand doctor" -l core-only -d 'The core plugins: realtime, notifications, jobs, file-processing'
complete -c nself -n "__fish_nself_using_subcommand doctor" -l with-auth -d 'The core plugins and those of the set auth'
complete -c nself -n "__fish_nself_using_subcommand doctor" -l all -d 'Every set: core, auth and integrations'
complete -c nself -n "__fish_nself_using_subcommand doctor" -l offline -d 'Never touch the network'
complete -c nself -n "__fish_nself_using_subcommand doctor" -l allow-http -d 'Permit plain http to other machines'
complete -c nself -n "__fish_nself_using_subcommand doctor" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand doctor" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand doctor" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c nself -n "__fish_nself_using_subcommand self-update" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c nself -n "__fish_nself_using_subcommand self-update" -l project -d 'The project\'s name, before what its env files say' -r
complete -c nself -n "__fish_nself_using_subcommand self-update" -l project-dir -d 'The project\'s folder (default: `.`, else `./backend`)' -r -F
complete -c nself -n "__fish_nself_using_subcommand self-update" -l timeout -d 'How long a plugin may take to become healthy, such as 90s or 2m' -r
complete -c nself -n "__fish_nself_using_subcommand self-update" -l check -d 'Only look whether there is a newer release'
complete -c nself -n "__fish_nself_using_subcommand self-update" -l json -d 'Print one JSON document on standard output'
complete -c nself -n "__fish_nself_using_subcommand self-update" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c nself -n "__fish_nself_using_subcommand self-update" -s v -l verbose -d 'Say more of what is done and why'
complete -c nself -n "__fish_nself_using_subcommand self-update" -s h -l help -d 'Print help'
